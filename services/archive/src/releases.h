#pragma once

#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "release.h"

namespace pepeunit::archive {

struct ReleasesLimits {
  ArchiveLimits release;                // of one
  std::size_t cache_bytes = 64u << 20;  // of all that are kept
  int readings = 2;                     // at once: what is read is in memory whole
};

// Releases, read from repo-sync when they are wanted, and kept until others need the room. Who wants what somebody
// reads already waits for him. A version never changes, so what is kept is never old. Thread-safe.
class Releases {
 public:
  // `sources` outlives it.
  Releases(Sources& sources, ReleasesLimits limits) : sources_(sources), limits_(limits) {}

  using Held = std::shared_ptr<const Release>;
  // Errors of repo-sync and of ReleaseBuilder; DEADLINE_EXCEEDED when the call's time is over. Errors are not kept.
  absl::StatusOr<Held> Get(const rpc::Context& call, const std::string& repo_unit, const std::string& commit);

 private:
  using Key = std::string;
  struct Reading {
    bool done = false;
    absl::StatusOr<Held> result = absl::UnknownError("");
  };
  absl::StatusOr<Held> Read(const std::string& repo_unit, const std::string& commit);
  Held FindKept(const Key& key);
  void Keep(const Key& key, Held release);

  Sources& sources_;
  const ReleasesLimits limits_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::unordered_map<Key, std::shared_ptr<Reading>> readings_;
  std::size_t bytes_ = 0;
  std::list<Key> order_;
  std::unordered_map<Key, std::pair<Held, std::list<Key>::iterator>> kept_;
};

}  // namespace pepeunit::archive
