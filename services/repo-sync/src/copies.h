#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "git.h"
#include "pepeunit/base/uuid.h"
#include "signatures.h"
#include "sync_job.h"
#include "version_files.h"

namespace pepeunit::repo_sync {

struct CommitInfo {
  std::string id;  // 40 hex digits
  std::string summary;
  std::string author;
  std::int64_t time_s = 0;
};

// Lines of public keys that versions have to be signed with; empty: none has to be.
using SigningKeys = std::vector<std::string>;

struct Version {
  // kNewestRelease: the tag that is the highest semantic version; pre-releases count only with kNewestPreRelease. With
  // signing keys the highest that is signed, and when none is, the highest of all.
  enum class Kind { kDefault, kBranch, kTag, kCommit, kNewestRelease, kNewestPreRelease };
  Kind kind = Kind::kDefault;
  std::string name;
};

struct ResolvedVersion {
  std::string commit, tag, branch;
  VersionFile schema_json, env_example_json;
  SignatureState signature;  // with signing keys only
};

struct FilePiece {
  std::string path;  // in the first piece of a file only, with the next three
  enum class Kind { kFile, kSymbolicLink, kSubmodule } kind = Kind::kFile;  // only files have content
  bool executable = false;
  std::int64_t size = 0;
  std::string_view data;
};

// Reads the local copies. Every call opens the copy for itself, so it sees one state of it even while a sync replaces
// it. Thread-safe. FAILED_PRECONDITION without a reason: there is no copy.
class Copies {
 public:
  explicit Copies(std::string folder) : folder_(std::move(folder)) {}

  absl::StatusOr<std::vector<Tip>> Branches(const Uuid& id);
  absl::StatusOr<std::vector<Tip>> Tags(const Uuid& id);
  // The remote's own default branch.
  absl::StatusOr<std::string> DefaultBranch(const Uuid& id);
  // NOT_FOUND when there is no such branch.
  absl::StatusOr<std::string> TipOf(const Uuid& id, const std::string& branch);
  // Up to `count` commits after the first `skip`, newest first, from `tip` back.
  absl::StatusOr<std::vector<CommitInfo>> Commits(const Uuid& id, const std::string& tip, std::size_t skip,
                                                  std::size_t count);
  absl::StatusOr<ResolvedVersion> Resolve(const Uuid& id, const Version& version, const SigningKeys& keys = {});
  // Of each of these commits.
  absl::StatusOr<std::vector<SignatureState>> SignaturesOf(const Uuid& id, const std::vector<std::string>& commits,
                                                           const SigningKeys& keys);
  // Calls `take` with the files of a commit in the order of their paths; stops at its first error.
  absl::Status ReadTree(const Uuid& id, const std::string& commit,
                        const std::function<absl::Status(const FilePiece&)>& take);

 private:
  absl::StatusOr<git::Repository> Open(const Uuid& id) const;

  git::Library library_;
  const std::string folder_;
};

}  // namespace pepeunit::repo_sync
