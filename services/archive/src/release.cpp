#include "release.h"

#include <algorithm>
#include <map>
#include <utility>

#include "ignore.h"
#include "pepeunit/base/bytes.h"
#include "pepeunit/base/errors.h"
#include "rules.h"
#include "schema_stamp.h"

namespace pepeunit::archive {
namespace {

constexpr char kSchema[] = "schema.json", kIgnoreFile[] = ".pepeignore";

ReleaseFile MakeFile(std::string path, std::string text, bool executable) {
  ReleaseFile file{.path = std::move(path), .sha256 = Sha256(AsBytes(text)), .content = {}, .executable = executable};
  file.content = std::make_shared<const std::string>(std::move(text));
  return file;
}

bool ByPath(const ReleaseFile& a, const ReleaseFile& b) { return a.path < b.path; }

// https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md: the first line of a pointer, which is under 1024 bytes.
bool IsLfsPointer(const std::string& content) {
  return content.size() < 1024 && content.starts_with("version https://git-lfs.github.com/spec/");
}

// Paths that are one on a file system that minds no case. Of letters beyond ASCII nothing is said: which of them are
// the same there depends on the card.
void WarnOfCases(const std::vector<ReleaseFile>& files, Notes* warnings) {
  std::map<std::string, const ReleaseFile*> folded;
  for (const ReleaseFile& file : files) {
    std::string key = file.path;
    std::transform(key.begin(), key.end(), key.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    if (!folded.emplace(std::move(key), &file).second) warnings->Add(file.path, NoteReason::kCaseCollision);
  }
}

absl::Status Invalid(const char* what) {
  return Error(absl::StatusCode::kFailedPrecondition, "INVALID_REPOSITORY", what);
}

}  // namespace

void Notes::Add(const std::string& path, NoteReason reason) {
  ++count;
  if (first.size() < kMost) first.push_back({path, reason});
}

absl::Status ReleaseBuilder::Take(const Piece& piece) {
  if (!piece.path.empty()) {
    PEPEUNIT_RETURN_IF_ERROR(End());
    PEPEUNIT_RETURN_IF_ERROR(Begin(piece));
  }
  if (!keeps_) return absl::OkStatus();
  if (static_cast<std::int64_t>(text_.size() + piece.data.size()) > size_)
    return absl::DataLossError("a file is longer than announced");
  text_ += piece.data;
  return absl::OkStatus();
}

absl::Status ReleaseBuilder::Begin(const Piece& piece) {
  const Rule rule = RuleFor(piece.path);
  const bool file = piece.kind == Piece::Kind::kFile;
  is_schema_ = file && rule == Rule::kStamp;
  keeps_ = is_schema_ || (file && rule == Rule::kKeep);
  if (!keeps_) {
    const NoteReason reason = rule == Rule::kDrop                        ? NoteReason::kExample
                              : rule == Rule::kUnsafe                    ? NoteReason::kUnsafeName
                              : rule == Rule::kReplace                   ? NoteReason::kReplaced
                              : piece.kind == Piece::Kind::kSymbolicLink ? NoteReason::kSymbolicLink
                                                                         : NoteReason::kSubmodule;
    release_.left_out.Add(piece.path, reason);
    return absl::OkStatus();
  }
  if (is_schema_ && piece.size > static_cast<std::int64_t>(kMaxSchema))
    return Invalid("schema.json at this version is larger than 256 KiB.");
  if (piece.size < 0 || piece.size > limits_.bytes - static_cast<std::int64_t>(release_.bytes)) {
    return Limit("The program is larger than this instance sends (" + std::to_string(limits_.bytes) + " bytes).", 0);
  }
  if (static_cast<int>(release_.files.size()) >= limits_.files) {
    return Limit("The program has more files than this instance sends (" + std::to_string(limits_.files) + ").", 0);
  }
  path_ = piece.path;
  size_ = piece.size;
  executable_ = piece.executable;
  text_.clear();
  text_.reserve(static_cast<std::size_t>(size_));
  return absl::OkStatus();
}

absl::Status ReleaseBuilder::End() {
  if (!std::exchange(keeps_, false)) return absl::OkStatus();
  if (static_cast<std::int64_t>(text_.size()) != size_) return absl::DataLossError("a file is shorter than announced");
  release_.bytes += text_.size();
  if (is_schema_) {
    has_schema_ = true;
    release_.schema = std::exchange(text_, {});
  } else {
    release_.files.push_back(MakeFile(std::move(path_), std::exchange(text_, {}), executable_));
  }
  return absl::OkStatus();
}

absl::StatusOr<Release> ReleaseBuilder::Finish() {
  PEPEUNIT_RETURN_IF_ERROR(End());
  if (!has_schema_) return Invalid("There is no schema.json at this version.");
  std::sort(release_.files.begin(), release_.files.end(), ByPath);
  if (const ReleaseFile* rules = Find(release_, kIgnoreFile)) {
    const Ignore ignore(*rules->content);
    std::erase_if(release_.files, [&](const ReleaseFile& file) {
      const bool leaves = ignore.Leaves(file.path);
      if (leaves) release_.left_out.Add(file.path, NoteReason::kIgnored);
      return leaves || file.path == kIgnoreFile;
    });
    release_.bytes = release_.schema.size();
    for (const ReleaseFile& file : release_.files) release_.bytes += file.content->size();
  }
  for (const ReleaseFile& file : release_.files) {
    if (IsLfsPointer(*file.content)) release_.warnings.Add(file.path, NoteReason::kLfsPointer);
  }
  WarnOfCases(release_.files, &release_.warnings);
  return std::move(release_);
}

absl::StatusOr<ReleaseFile> SchemaOf(const Release& release, const Uuid& unit) {
  PEPEUNIT_ASSIGN_OR_RETURN(std::string stamped, StampSchema(release.schema, release.commit, unit));
  return MakeFile(kSchema, std::move(stamped), false);
}

const ReleaseFile* Find(const Release& release, const std::string& path) {
  const auto found =
      std::lower_bound(release.files.begin(), release.files.end(), path,
                       [](const ReleaseFile& file, const std::string& wanted) { return file.path < wanted; });
  return found == release.files.end() || found->path != path ? nullptr : &*found;
}

std::vector<Difference> Compare(const std::vector<ReleaseFile>* have, const std::vector<ReleaseFile>& want) {
  static const std::vector<ReleaseFile> kNothing;
  const std::vector<ReleaseFile>& before = have == nullptr ? kNothing : *have;
  std::vector<Difference> differences;
  auto old = before.begin();
  for (const ReleaseFile& file : want) {
    for (; old != before.end() && old->path < file.path; ++old) differences.push_back({old->path, nullptr});
    const bool same = old != before.end() && old->path == file.path;
    if (!same || old->sha256 != file.sha256 || old->executable != file.executable)
      differences.push_back({file.path, &file});
    if (same) ++old;
  }
  for (; old != before.end(); ++old) differences.push_back({old->path, nullptr});
  return differences;
}

absl::StatusOr<std::vector<ReleaseFile>> FilesOf(const Release& release, const Uuid& unit) {
  PEPEUNIT_ASSIGN_OR_RETURN(ReleaseFile schema, SchemaOf(release, unit));
  std::vector<ReleaseFile> files;
  files.reserve(release.files.size() + 1);
  const auto place = std::upper_bound(release.files.begin(), release.files.end(), schema, ByPath);
  files.insert(files.end(), release.files.begin(), place);
  files.push_back(std::move(schema));
  files.insert(files.end(), place, release.files.end());
  return files;
}

}  // namespace pepeunit::archive
