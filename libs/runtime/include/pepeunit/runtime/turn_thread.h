#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "absl/status/statusor.h"

namespace pepeunit::runtime {

// Takes turns on a thread of its own, one after the other. What is due is in the storage, so replicas share it, and one
// that dies leaves it to others. After an error it tries again, later each time (up to 5 s).
class TurnThread {
 public:
  // Takes one turn, if there is one: how long to wait until the next.
  using Take = std::function<absl::StatusOr<std::chrono::milliseconds>()>;

  // `what` names it in the log.
  TurnThread(std::string what, Take take) : what_(std::move(what)), take_(std::move(take)) {}
  ~TurnThread() { Stop(); }

  void Start();
  // Returns when the turn that is under way is done.
  void Stop();
  // The next turn is now.
  void Kick();

 private:
  void Loop();

  const std::string what_;
  const Take take_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool kicked_ = false, stop_ = false;
  std::thread thread_;
};

// For turns that tell only whether there was one: the next at once, else in `poll`.
absl::StatusOr<std::chrono::milliseconds> UntilNext(const absl::StatusOr<bool>& taken,
                                                    std::chrono::milliseconds poll = std::chrono::seconds(1));

}  // namespace pepeunit::runtime
