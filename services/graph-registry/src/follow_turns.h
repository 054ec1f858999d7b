#pragma once

#include "followers.h"
#include "pepeunit/runtime/turn_thread.h"

namespace pepeunit::graph_registry {

// Moves the units that follow their repositories: a portion of each repository in turn, whoever has waited longest
// first.
class FollowTurns {
 public:
  FollowTurns(GraphStore& store, Followers& followers) : store_(store), followers_(followers) {}

  void Start() { thread_.Start(); }
  void Stop() { thread_.Stop(); }
  // Something became due.
  void Kick() { thread_.Kick(); }

  // One turn, in the calling thread: whether there was one to take.
  absl::StatusOr<bool> Take();

 private:
  GraphStore& store_;
  Followers& followers_;
  runtime::TurnThread thread_{"units that follow", [this] { return runtime::UntilNext(Take()); }};
};

}  // namespace pepeunit::graph_registry
