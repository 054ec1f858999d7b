#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "pepeunit/base/uuid.h"
#include "pepeunit/repo/v1/repositories.pb.h"
#include "sync_job.h"

namespace pepeunit::repo_sync {

// A repository as the graph wants it kept.
struct Wanted {
  Uuid id{};
  std::string url;
  std::int64_t sync_period_s = 0;  // 0: by hand only
  std::uint64_t sync_requests = 0;
  std::string sealed_credentials;  // empty: public
  std::string host_key{};          // fingerprint of the SSH host key that is pinned; empty: none yet
};

// A repository whose sync this process has begun.
struct Taken {
  Wanted wanted;
  std::int64_t began_ms = 0;  // Unix time
  std::int64_t lease = 0;     // fences; goes back with every later call
};

// What is known of a copy.
struct CopyState {
  bool failed = false;
  bool running = false;
  std::string error;
  std::string remote_head;
};

inline constexpr int kMostRecords = 100;
struct KeptRecord {
  std::int64_t id = 0;  // rises
  repo::v1::SyncRecord record;
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
  // Tells how far it is.
  virtual absl::Status Tell(const Taken& taken, const Progress& progress) = 0;
  // Stores the outcome, which is kept with those of the last kMostRecords syncs, and when the next try is due. False as
  // above; then nothing was stored.
  virtual absl::StatusOr<bool> Finish(const Taken& taken, const SyncResult& result) = 0;
  // Gives it back without an outcome: it is due at once.
  virtual absl::Status Release(const Taken& taken) = 0;

  // What the last syncs came to, newest first: those before the one with the id `before` (0: from the newest).
  virtual absl::StatusOr<std::vector<KeptRecord>> ListSyncs(const Uuid& id, std::int64_t before, int limit) = 0;
  // What is wrong at branches and tags, as of the last good sync.
  virtual absl::StatusOr<repo::v1::RefChecks> GetChecks(const Uuid& id) = 0;
};

}  // namespace pepeunit::repo_sync
