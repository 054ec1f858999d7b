#pragma once

#include <prometheus/registry.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "store.h"
#include "worker_process.h"

namespace pepeunit::repo_sync {

struct SyncSettings {
  std::string folder;
  std::int64_t max_bytes = 10 << 20;
  int workers = 2;
  std::string private_remotes;
  WorkerSettings worker;
};

struct Credentials {
  std::string username, password;
  std::string private_key{}, passphrase{};  // for SSH
};

// Opens what the graph sealed.
class CredentialBox {
 public:
  virtual ~CredentialBox() = default;
  virtual absl::StatusOr<Credentials> Open(const Uuid& repo_unit, const std::string& sealed) = 0;
};

// Keeps the copies: takes what is due, runs a worker process for it and stores the outcome; and once a minute compares
// the folder with the table. Threads of its own between Start and Stop.
class Syncs {
 public:
  Syncs(RepositoryStore& store, CredentialBox& credentials, SyncSettings settings, prometheus::Registry* metrics);
  ~Syncs() { Stop(); }

  // INVALID_ARGUMENT when the folder cannot be written.
  absl::Status Start();
  // Stops the workers at once; what they were at is due again.
  void Stop();
  // Something may be due. Thread-safe.
  void Wake();
  // The repository was deleted: its copy goes too. Thread-safe.
  void Remove(const Uuid& id);
  // One pass over the folder: what has no row is removed, and rows whose copy is not there become due.
  absl::Status Compare();

 private:
  void Work();
  void Watch();
  void Run(const Taken& taken);
  SyncResult Sync(const Taken& taken, bool* lost);
  void Observe(const SyncResult& result, std::int64_t began_ms);
  bool Sleep(std::chrono::milliseconds time);  // false when stopping

  RepositoryStore& store_;
  CredentialBox& credentials_;
  const SyncSettings settings_;
  prometheus::Family<prometheus::Counter>* syncs_ = nullptr;
  prometheus::Histogram* seconds_ = nullptr;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::uint64_t wakes_ = 0;
  std::atomic<bool> stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace pepeunit::repo_sync
