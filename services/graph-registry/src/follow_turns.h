#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "store.h"
#include "units.h"

namespace pepeunit::graph_registry {

// Moves the units that follow their repositories, on a thread of its own: a portion of each repository in turn, whoever
// has waited longest first. What is due is in the storage, so replicas share it, and one that dies leaves it to others.
class FollowTurns {
 public:
  FollowTurns(GraphStore& store, Units& units) : store_(store), units_(units) {}
  ~FollowTurns() { Stop(); }

  void Start();
  // Returns when the portion that is under way is done.
  void Stop();
  // Something became due; else it is looked for once a second.
  void Kick();

  // One turn, in the calling thread: whether there was one to take.
  absl::StatusOr<bool> Take();

 private:
  void Loop();

  GraphStore& store_;
  Units& units_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool kicked_ = false, stop_ = false;
  std::thread thread_;
};

}  // namespace pepeunit::graph_registry
