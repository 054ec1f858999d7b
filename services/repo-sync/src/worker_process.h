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

// Asked about every second while a worker runs, with what it told last; false kills it.
using GoOn = std::function<bool(const Progress& progress)>;

// Runs one job in a process of its own and waits for it. Never fails otherwise than by `error` in the result.
// Thread-safe.
SyncResult RunInProcess(const WorkerSettings& settings, const SyncJob& job, const GoOn& go_on);

}  // namespace pepeunit::repo_sync
