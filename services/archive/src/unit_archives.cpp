#include "unit_archives.h"

#include <string.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <optional>
#include <utility>

#include "pepeunit/base/bytes.h"
#include "pepeunit/base/errors.h"
#include "rules.h"

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

absl::Status AddWhole(ArchiveWriter& archive, const std::string& path, const std::string& content, Mode mode) {
  PEPEUNIT_RETURN_IF_ERROR(archive.Begin(path, static_cast<std::int64_t>(content.size()), mode));
  return archive.Write(content);
}

absl::Status CheckCall(const rpc::Context& call) {
  if (call.cancelled && call.cancelled()) return absl::CancelledError("The receiver went away.");
  if (std::chrono::system_clock::now() >= call.deadline) {
    return Error(absl::StatusCode::kDeadlineExceeded, "UNAVAILABLE", "The archive took too long to send.");
  }
  return absl::OkStatus();
}

// Makes the whole archive; `take` takes its pieces, false when it wants no more.
absl::Status Make(const rpc::Context& call, Format format, const std::vector<ReleaseFile>& files,
                  const std::string& env, const ArchiveWriter::Sink& take) {
  absl::Status interrupted;  // why the receiver gets no more
  ArchiveWriter archive(format, [&](std::string_view data) {
    interrupted = CheckCall(call);
    if (interrupted.ok() && !take(data)) interrupted = absl::CancelledError("The receiver went away.");
    return interrupted.ok();
  });
  absl::Status status;
  for (const ReleaseFile& file : files) {
    status = AddWhole(archive, file.path, *file.content, file.executable ? Mode::kExecutable : Mode::kFile);
    if (!status.ok()) break;
  }
  if (status.ok()) status = AddWhole(archive, "env.json", env, Mode::kSecret);
  if (status.ok()) status = archive.Finish();
  return interrupted.ok() ? status : interrupted;
}

// The same for the same bytes. env.json holds keys that nobody can guess, so its hash tells nothing of the rest of it.
std::string EtagOf(const Package& package, Format format, const std::string& env) {
  constexpr char kWriter = '1';  // another one when the same files are written as other bytes
  constexpr std::size_t kBytes = 16;
  std::string text = {kWriter, format == Format::kZip ? 'z' : 't'};
  text += package.commit + package.unit.ToString() + env;
  const WipedText wiped(std::move(text));
  return HexEncode(AsBytes(Sha256(AsBytes(wiped.text())).substr(0, kBytes)));
}

ArchiveHead::Part PartOf(const Range& range, std::int64_t total) {
  ArchiveHead::Part part{.total = total};
  std::int64_t end = range.last && range.first ? std::min(*range.last, total - 1) + 1 : total;
  part.first = range.first ? *range.first : std::max<std::int64_t>(0, total - range.last.value_or(0));
  part.length = std::max<std::int64_t>(0, end - part.first);
  return part;
}

}  // namespace

absl::StatusOr<UnitArchives::Listing> UnitArchives::List(const rpc::Context& call, const std::string& unit_id) {
  const std::optional<Uuid> unit = Uuid::Parse(unit_id);
  if (!unit) return InvalidField("unit_id", "must be a UUID");
  PEPEUNIT_ASSIGN_OR_RETURN(const Package package, sources_.GetPackage(call, *unit));
  PEPEUNIT_ASSIGN_OR_RETURN(auto release, releases_.Get(call, package.repo_unit_id, package.commit));
  PEPEUNIT_ASSIGN_OR_RETURN(auto files, FilesOf(*release, *unit));
  return Listing{std::move(release), std::move(files)};
}

absl::Status UnitArchives::Download(const rpc::Context& call, const ArchiveWanted& wanted, const Send& send) {
  const std::optional<Uuid> unit = Uuid::Parse(wanted.unit_id);
  if (!unit) return InvalidField("unit_id", "must be a UUID");
  PEPEUNIT_ASSIGN_OR_RETURN(const Package package, sources_.GetPackage(call, *unit));
  PEPEUNIT_ASSIGN_OR_RETURN(const auto release, releases_.Get(call, package.repo_unit_id, package.commit));
  PEPEUNIT_ASSIGN_OR_RETURN(const auto files, FilesOf(*release, *unit));
  PEPEUNIT_ASSIGN_OR_RETURN(std::string opened, sources_.OpenEnv(call, package));
  const WipedText env(std::move(opened));

  const bool zip = wanted.format == Format::kZip;
  ArchiveHead head{.filename = ArchiveName(package.unit_name, package.unit) + (zip ? ".zip" : ".tar.gz"),
                   .media_type = zip ? "application/zip" : "application/gzip",
                   .etag = EtagOf(package, wanted.format, env.text())};
  if (wanted.range && (wanted.range->if_etag.empty() || wanted.range->if_etag == head.etag)) {
    std::int64_t total = 0;
    PEPEUNIT_RETURN_IF_ERROR(Make(call, wanted.format, files, env.text(), [&](std::string_view data) {
      total += static_cast<std::int64_t>(data.size());
      return true;
    }));
    head.part = PartOf(*wanted.range, total);
    if (head.part->length == 0) {
      return send(head, "") ? absl::OkStatus() : absl::CancelledError("The receiver went away.");
    }
  }
  std::int64_t skip = head.part ? head.part->first : 0;
  std::int64_t left = head.part ? head.part->length : std::numeric_limits<std::int64_t>::max();
  const absl::Status status = Make(call, wanted.format, files, env.text(), [&](std::string_view data) {
    const std::int64_t passed = std::min(skip, static_cast<std::int64_t>(data.size()));
    skip -= passed;
    data = data.substr(static_cast<std::size_t>(passed)).substr(0, static_cast<std::size_t>(left));
    left -= static_cast<std::int64_t>(data.size());
    if (!data.empty() && !send(head, data)) return false;
    return left > 0;
  });
  return left == 0 ? absl::OkStatus() : status;
}

}  // namespace pepeunit::archive
