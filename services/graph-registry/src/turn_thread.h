#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "absl/status/statusor.h"

namespace pepeunit::graph_registry {

// Takes turns on a thread of its own, one after the other; when there is none to take it looks again once a second, or
// as soon as it is kicked. What is due is in the storage, so replicas share it, and one that dies leaves it to others.
class TurnThread {
 public:
  // Takes one turn: whether there was one.
  using Take = std::function<absl::StatusOr<bool>()>;

  TurnThread(std::string what, Take take) : what_(std::move(what)), take_(std::move(take)) {}
  ~TurnThread() { Stop(); }

  void Start();
  // Returns when the turn that is under way is done.
  void Stop();
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

}  // namespace pepeunit::graph_registry
