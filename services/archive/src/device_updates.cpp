#include "device_updates.h"

#include <algorithm>
#include <optional>

#include "pepeunit/base/bytes.h"
#include "pepeunit/base/errors.h"

namespace pepeunit::archive {
namespace {

constexpr std::int64_t kMostPiece = 1 << 20;
constexpr int kMostEntries = 1'000;

bool IsCommit(const std::string& text) { return text.size() == 40 && HexDecode(text).has_value(); }

// What both questions name.
template <typename Request>
absl::StatusOr<Uuid> Admit(const rpc::Context& call, const Request& request) {
  if (call.caller.kind != rpc::Caller::Kind::kService) return Forbidden("Only services may ask this.");
  const auto unit = Uuid::Parse(request.unit_id());
  if (!unit) return InvalidField("unit_id", "must be a UUID");
  if (!Uuid::Parse(request.repo_unit_id())) return InvalidField("repo_unit_id", "must be a UUID");
  if (!IsCommit(request.commit())) return InvalidField("commit", "must be 40 hex digits");
  return *unit;
}

}  // namespace

absl::Status DeviceUpdates::Manifest(const rpc::Context& call, const v1::GetUpdateManifestRequest& request,
                                     v1::UpdateManifest& out) {
  PEPEUNIT_ASSIGN_OR_RETURN(const Uuid unit, Admit(call, request));
  if (!request.have().empty() && !IsCommit(request.have())) return InvalidField("have", "must be 40 hex digits");
  if (request.from() < 0) return InvalidField("from", "must not be negative");
  if (request.limit() < 1 || request.limit() > kMostEntries) return InvalidField("limit", "must be from 1 to 1000");

  PEPEUNIT_ASSIGN_OR_RETURN(const auto wanted, releases_.Get(call, request.repo_unit_id(), request.commit()));
  PEPEUNIT_ASSIGN_OR_RETURN(const auto want, FilesOf(*wanted, unit));
  std::optional<std::vector<ReleaseFile>> have;
  if (!request.have().empty()) {
    const auto had = releases_.Get(call, request.repo_unit_id(), request.have());
    // What may pass is told; a version that is not there, or is no program, is as good as none.
    if (absl::IsUnavailable(had.status()) || absl::IsDeadlineExceeded(had.status())) return had.status();
    if (had.ok()) {
      auto files = FilesOf(**had, unit);
      if (files.ok()) have = *std::move(files);
    }
  }
  const auto differences = Compare(have ? &*have : nullptr, want);
  out.set_count(static_cast<std::int32_t>(differences.size()));
  std::int64_t bytes = 0;
  for (std::size_t i = 0; i < differences.size(); ++i) {
    const Difference& difference = differences[i];
    if (difference.file != nullptr) bytes += static_cast<std::int64_t>(difference.file->content->size());
    if (i < static_cast<std::size_t>(request.from()) || out.files_size() >= request.limit()) continue;
    auto* file = out.add_files();
    file->set_path(difference.path);
    file->set_deleted(difference.file == nullptr);
    if (difference.file == nullptr) continue;
    file->set_size(static_cast<std::int64_t>(difference.file->content->size()));
    file->set_sha256(difference.file->sha256);
    file->set_executable(difference.file->executable);
  }
  out.set_bytes(bytes);
  return absl::OkStatus();
}

absl::Status DeviceUpdates::ReadFile(const rpc::Context& call, const v1::ReadUpdateFileRequest& request,
                                     v1::ReadUpdateFileResponse& out) {
  PEPEUNIT_ASSIGN_OR_RETURN(const Uuid unit, Admit(call, request));
  if (request.offset() < 0) return InvalidField("offset", "must not be negative");
  if (request.length() < 1 || request.length() > kMostPiece) return InvalidField("length", "must be from 1 to 1048576");
  PEPEUNIT_ASSIGN_OR_RETURN(const auto release, releases_.Get(call, request.repo_unit_id(), request.commit()));
  ReleaseFile file;
  if (request.path() == "schema.json") {
    PEPEUNIT_ASSIGN_OR_RETURN(file, SchemaOf(*release, unit));
  } else {
    const ReleaseFile* found = Find(*release, request.path());
    if (found == nullptr) return NotFound("file");
    file.content = found->content;
    out.set_shared(true);
  }
  const auto size = static_cast<std::int64_t>(file.content->size());
  out.set_size(size);
  if (request.offset() < size) {
    out.set_data(file.content->data() + request.offset(),
                 static_cast<std::size_t>(std::min(request.length(), size - request.offset())));
  }
  return absl::OkStatus();
}

}  // namespace pepeunit::archive
