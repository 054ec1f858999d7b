#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"

namespace pepeunit::runtime {

// Runs the readiness checks once a second on a thread of its own and remembers what they said, so that asking costs
// nothing and a hanging check cannot hang the asker; one that hangs counts as failed. Thread-safe once started.
class Readiness {
 public:
  ~Readiness() { Stop(); }

  void Add(std::string name, std::function<absl::Status()> check);
  void OnChange(std::function<void(bool)> listener);
  void Start();
  void Stop();
  // Nothing is ready before this.
  void Started();
  // From now on not ready, whatever the checks say: the service drains.
  void Drain();

  bool ready() const;
  // {"ready": false, "checks": {"postgres": "ok", "bus": "..."}}
  std::string Report() const;

 private:
  struct Check {
    std::string name;
    std::function<absl::Status()> run;
    absl::Status last = absl::UnavailableError("not checked yet");
    std::optional<std::chrono::steady_clock::time_point> began{};  // while it runs
  };
  void Loop();
  void Watch();
  void Publish();

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Check> checks_;
  std::vector<std::function<void(bool)>> listeners_;
  bool ready_ = false, started_ = false, draining_ = false, stop_ = false;
  std::mutex publishing_;  // listeners hear of changes in their order
  std::thread thread_, watch_;
};

}  // namespace pepeunit::runtime
