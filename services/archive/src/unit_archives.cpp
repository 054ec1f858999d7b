#include "unit_archives.h"

#include <string.h>

#include <chrono>
#include <optional>
#include <utility>

#include "pepeunit/base/errors.h"
#include "pepeunit/base/log.h"
#include "rules.h"
#include "schema_stamp.h"
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

// Puts the pieces of a repository into the zip by the rules.
class Assembly {
 public:
  Assembly(ZipWriter& zip, const Package& package, const ArchiveLimits& limits)
      : zip_(zip), package_(package), limits_(limits) {}

  absl::Status Take(const Piece& piece) {
    if (!piece.path.empty()) {
      PEPEUNIT_RETURN_IF_ERROR(EndFile());
      PEPEUNIT_RETURN_IF_ERROR(BeginFile(piece));
    }
    switch (rule_) {
      case Rule::kKeep:
        return zip_.Write(piece.data);
      case Rule::kStamp:
        if (schema_.size() + piece.data.size() > kMaxSchema)
          return absl::DataLossError("schema.json is longer than announced");
        schema_ += piece.data;
        return absl::OkStatus();
      case Rule::kReplace:
      case Rule::kDrop:
      case Rule::kUnsafe:
        return absl::OkStatus();
    }
    return absl::OkStatus();
  }

  absl::Status Finish(const std::string& env) {
    PEPEUNIT_RETURN_IF_ERROR(EndFile());
    PEPEUNIT_RETURN_IF_ERROR(AddWhole("env.json", env));
    if (unsafe_ > 0) {
      log::Warning("files with unsafe names were left out of an archive",
                   {{"repo_unit", package_.repo_unit_id}, {"commit", package_.commit}, {"files", unsafe_}});
    }
    return zip_.Finish();
  }

 private:
  absl::Status BeginFile(const Piece& piece) {
    rule_ = RuleFor(piece.path);
    if (rule_ == Rule::kUnsafe) ++unsafe_;
    if (rule_ == Rule::kKeep) {
      PEPEUNIT_RETURN_IF_ERROR(Count(piece.size));
      return zip_.Begin(piece.path, piece.size, piece.executable);
    }
    if (rule_ == Rule::kStamp && piece.size > static_cast<std::int64_t>(kMaxSchema)) {
      return Error(absl::StatusCode::kFailedPrecondition, "INVALID_REPOSITORY",
                   "schema.json at the unit's version is larger than 256 KiB.");
    }
    return absl::OkStatus();
  }

  absl::Status EndFile() {
    const Rule ended = std::exchange(rule_, Rule::kDrop);
    if (ended != Rule::kStamp) return absl::OkStatus();
    PEPEUNIT_ASSIGN_OR_RETURN(const std::string stamped,
                              StampSchema(std::exchange(schema_, {}), package_.commit, package_.unit));
    return AddWhole("schema.json", stamped);
  }

  absl::Status AddWhole(const std::string& path, const std::string& text) {
    const auto size = static_cast<std::int64_t>(text.size());
    PEPEUNIT_RETURN_IF_ERROR(Count(size));
    PEPEUNIT_RETURN_IF_ERROR(zip_.Begin(path, size, false));
    return zip_.Write(text);
  }

  absl::Status Count(std::int64_t size) {
    if (size < 0 || size > limits_.bytes - bytes_) {
      return Limit(
          "The unit's program is larger than this instance packs (" + std::to_string(limits_.bytes) + " bytes).", 0);
    }
    if (files_ == limits_.files) {
      return Limit(
          "The unit's program has more files than this instance packs (" + std::to_string(limits_.files) + ").", 0);
    }
    bytes_ += size;
    ++files_;
    return absl::OkStatus();
  }

  ZipWriter& zip_;
  const Package& package_;
  const ArchiveLimits& limits_;
  Rule rule_ = Rule::kDrop;  // for the file whose pieces are coming
  std::string schema_;       // of the file under Rule::kStamp
  std::int64_t bytes_ = 0;
  int files_ = 0;
  int unsafe_ = 0;
};

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
  PEPEUNIT_ASSIGN_OR_RETURN(std::string opened, sources_.OpenEnv(call, package));
  const WipedText env(std::move(opened));

  const std::string filename = ArchiveName(package.unit_name, package.unit);
  absl::Status interrupted;  // why the receiver gets no more
  ZipWriter zip([&](std::string_view data) {
    interrupted = CheckCall(call);
    if (interrupted.ok() && !send(filename, data)) interrupted = absl::CancelledError("The receiver went away.");
    return interrupted.ok();
  });
  Assembly assembly(zip, package, limits_);
  absl::Status status = sources_.ReadTree(call, package, [&](const Piece& piece) {
    // Here too, for much may be read before there is a block to send.
    absl::Status live = CheckCall(call);
    return live.ok() ? assembly.Take(piece) : live;
  });
  if (status.ok()) status = assembly.Finish(env.text());
  return interrupted.ok() ? status : interrupted;
}

}  // namespace pepeunit::archive
