#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "pepeunit/base/uuid.h"
#include "sources.h"

// The files of one version of a repository as a device has them, but for what each unit has of its own. Pure.
namespace pepeunit::archive {

struct ArchiveLimits {
  std::int64_t bytes = 64 << 20;  // of all files together, before compression
  int files = 10'000;
};

struct ReleaseFile {
  std::string path;
  std::string sha256;  // 32 bytes
  std::shared_ptr<const std::string> content;
  bool executable = false;
};

// What somebody should know of a file of the repository: why it is not in the release, or may not be what it seems.
enum class NoteReason {
  kExample = 1,
  kReplaced,
  kUnsafeName,
  kIgnored,
  kSymbolicLink,
  kSubmodule,
  kLfsPointer,
  kCaseCollision,
};
struct Note {
  std::string path;
  NoteReason reason = NoteReason::kExample;
};
// The first of them, and how many there are.
struct Notes {
  static constexpr std::size_t kMost = 200;
  std::vector<Note> first;
  int count = 0;
  void Add(const std::string& path, NoteReason reason);
};

// Immutable once made.
struct Release {
  std::string commit;              // 40 hex digits
  std::vector<ReleaseFile> files;  // by path, in the order of bytes; without schema.json and env.json
  std::string schema;              // schema.json as the repository has it
  std::size_t bytes = 0;           // of all content
  Notes left_out, warnings;
};

// Builds a release from the pieces of a tree by the rules of rules.h and its `.pepeignore`. What that leaves out counts
// for the limits, for it has to be read. Not thread-safe.
class ReleaseBuilder {
 public:
  ReleaseBuilder(std::string commit, const ArchiveLimits& limits) : limits_(limits) {
    release_.commit = std::move(commit);
  }
  // RESOURCE_EXHAUSTED (LIMIT) beyond the limits; FAILED_PRECONDITION (INVALID_REPOSITORY) for a schema.json that is
  // too large; DATA_LOSS when a file has not the size that was announced.
  absl::Status Take(const Piece& piece);
  // FAILED_PRECONDITION (INVALID_REPOSITORY) without schema.json.
  absl::StatusOr<Release> Finish();

 private:
  absl::Status Begin(const Piece& piece);
  absl::Status End();

  const ArchiveLimits limits_;
  Release release_;
  bool keeps_ = false, is_schema_ = false, has_schema_ = false;
  std::string path_, text_;
  std::int64_t size_ = 0;
  bool executable_ = false;
};

// schema.json as the unit has it: with its id and version. INVALID_REPOSITORY if it is no JSON object.
absl::StatusOr<ReleaseFile> SchemaOf(const Release& release, const Uuid& unit);
// Null when the release has no such file; schema.json is not looked for.
const ReleaseFile* Find(const Release& release, const std::string& path);

// What a device with `have` (null: with nothing) needs and loses to have `want`, by path in the order of bytes.
struct Difference {
  std::string path;
  const ReleaseFile* file = nullptr;  // of `want`; null: it goes
};
std::vector<Difference> Compare(const std::vector<ReleaseFile>* have, const std::vector<ReleaseFile>& want);
// The release's files with the unit's schema.json in its place.
absl::StatusOr<std::vector<ReleaseFile>> FilesOf(const Release& release, const Uuid& unit);

}  // namespace pepeunit::archive
