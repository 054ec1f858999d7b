#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "pepeunit/base/uuid.h"
#include "sync_job.h"

namespace pepeunit::repo_sync {

// A repository as the graph wants it kept.
struct Wanted {
  Uuid id{};
  std::string url;
  std::int64_t sync_period_s = 0;  // 0: by hand only
  std::uint64_t sync_requests = 0;
  std::string sealed_credentials;  // empty: public
};

// A repository whose sync this process has begun.
struct Taken {
  Wanted wanted;
  std::int64_t lease = 0;  // fences; goes back with every later call
};

// What is known of a copy.
struct CopyState {
  bool failed = false;
  bool running = false;
  std::string error;
  std::string remote_head;
};

// The state of all repositories. Each change of a repository's state commits together with its RepoSynced event.
// Thread-safe; blocks.
class RepositoryStore {
 public:
  virtual ~RepositoryStore() = default;

  // Idempotent; what is older than what is stored (by sync_requests) changes nothing.
  virtual absl::Status Upsert(const Wanted& wanted) = 0;
  virtual absl::Status Delete(const Uuid& id) = 0;
  virtual absl::StatusOr<std::vector<Uuid>> ListIds() = 0;
  // Of those that had a good sync.
  virtual absl::StatusOr<std::vector<Uuid>> ListSynced() = 0;
  // Makes the repository due, for its copy is not there.
  virtual absl::Status MarkMissing(const Uuid& id) = 0;
  virtual absl::StatusOr<std::optional<CopyState>> Get(const Uuid& id) = 0;

  // Takes one that is due, those that somebody asked for first; nothing when none is. Others leave it alone for
  // `lease`, unless renewed.
  virtual absl::StatusOr<std::optional<Taken>> TakeDue(std::chrono::seconds lease) = 0;
  // False when the repository was deleted or another process has it.
  virtual absl::StatusOr<bool> Renew(const Taken& taken, std::chrono::seconds lease) = 0;
  // Stores the outcome and when the next try is due. False as above; then nothing was stored.
  virtual absl::StatusOr<bool> Finish(const Taken& taken, const SyncResult& result) = 0;
  // Gives it back without an outcome: it is due at once.
  virtual absl::Status Release(const Taken& taken) = 0;
};

}  // namespace pepeunit::repo_sync
