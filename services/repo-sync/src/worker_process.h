#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "sync_job.h"

namespace pepeunit::repo_sync {

struct WorkerSettings {
  std::string program = "/proc/self/exe";
  std::chrono::milliseconds timeout{120'000};  // then the worker's whole process group is killed
};

// Runs one job in a process of its own and waits for it. `go_on` is asked about every second; false kills the worker.
// Never fails otherwise than by `error` in the result. Thread-safe.
SyncResult RunInProcess(const WorkerSettings& settings, const SyncJob& job, const std::function<bool()>& go_on);

}  // namespace pepeunit::repo_sync
