#include "unit_archives.h"

#include <string.h>

#include <chrono>
#include <optional>
#include <utility>

#include "pepeunit/base/errors.h"
#include "rules.h"
#include "zip_writer.h"

namespace pepeunit::archive {
namespace {

class WipedText {
 public:
  explicit WipedText(std::string text) : text_(std::move(text)) {}
  ~WipedText() { ::explicit_bzero(text_.data(), text_.size()); }
  WipedText(const WipedText&) = delete;
  WipedText& operator=(const WipedText&) = delete;
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

absl::Status AddWhole(ZipWriter& zip, const std::string& path, const std::string& content, bool executable) {
  PEPEUNIT_RETURN_IF_ERROR(zip.Begin(path, static_cast<std::int64_t>(content.size()), executable));
  return zip.Write(content);
}

absl::Status CheckCall(const rpc::Context& call) {
  if (call.cancelled && call.cancelled()) return absl::CancelledError("The receiver went away.");
  if (std::chrono::system_clock::now() >= call.deadline) {
    return Error(absl::StatusCode::kDeadlineExceeded, "UNAVAILABLE", "The archive took too long to send.");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status UnitArchives::Download(const rpc::Context& call, const std::string& unit_id, const Send& send) {
  const std::optional<Uuid> unit = Uuid::Parse(unit_id);
  if (!unit) return InvalidField("unit_id", "must be a UUID");
  PEPEUNIT_ASSIGN_OR_RETURN(const Package package, sources_.GetPackage(call, *unit));
  PEPEUNIT_ASSIGN_OR_RETURN(const auto release, releases_.Get(call, package.repo_unit_id, package.commit));
  PEPEUNIT_ASSIGN_OR_RETURN(const auto files, FilesOf(*release, *unit));
  PEPEUNIT_ASSIGN_OR_RETURN(std::string opened, sources_.OpenEnv(call, package));
  const WipedText env(std::move(opened));

  const std::string filename = ArchiveName(package.unit_name, package.unit);
  absl::Status interrupted;  // why the receiver gets no more
  ZipWriter zip([&](std::string_view data) {
    interrupted = CheckCall(call);
    if (interrupted.ok() && !send(filename, data)) interrupted = absl::CancelledError("The receiver went away.");
    return interrupted.ok();
  });
  absl::Status status;
  for (const ReleaseFile& file : files) {
    status = AddWhole(zip, file.path, *file.content, file.executable);
    if (!status.ok()) break;
  }
  if (status.ok()) status = AddWhole(zip, "env.json", env.text(), false);
  if (status.ok()) status = zip.Finish();
  return interrupted.ok() ? status : interrupted;
}

}  // namespace pepeunit::archive
