#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"

namespace pepeunit::graph_registry {

// Logins and addresses of which wrong passwords are remembered.
inline constexpr std::int64_t kMostFailures = 100'000;

// Deletes what is old enough, in the background: each task deletes a bounded number of rows and says how many, and is
// called again until none is left, then after `period`. Any number of replicas may do it at once.
class Housekeeping {
 public:
  struct Task {
    const char* what;
    std::function<absl::StatusOr<std::int64_t>()> forget;
  };
  Housekeeping(std::vector<Task> tasks, std::chrono::milliseconds period) : tasks_(std::move(tasks)), period_(period) {}
  ~Housekeeping() { Stop(); }
  void Start();
  void Stop();  // waits for the task that runs

 private:
  void Loop();

  const std::vector<Task> tasks_;
  const std::chrono::milliseconds period_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace pepeunit::graph_registry
