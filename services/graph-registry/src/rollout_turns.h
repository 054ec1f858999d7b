#pragma once

#include "pepeunit/runtime/turn_thread.h"
#include "rollout_store.h"
#include "unit_updates.h"
#include "units.h"

namespace pepeunit::graph_registry {

// Lets rollouts go on: a portion of units of each in turn, whoever has waited longest first.
class RolloutTurns {
 public:
  RolloutTurns(GraphStore& store, RolloutStore& rollouts, Versions& versions, Units& units, UnitUpdates& updates)
      : store_(store), rollouts_(rollouts), versions_(versions), units_(units), updates_(updates) {}

  void Start() { thread_.Start(); }
  void Stop() { thread_.Stop(); }

  // One turn, in the calling thread: whether there was one to take.
  absl::StatusOr<bool> Take();

 private:
  // What a turn did, and when the next one may begin.
  struct Done {
    bool moved = false;
    std::chrono::milliseconds wait{0};
  };
  absl::StatusOr<Done> Run(RolloutTurn* turn);
  absl::StatusOr<Done> MoveOn(const RolloutTurn& turn);
  absl::StatusOr<Done> MoveBack(RolloutTurn* turn);
  absl::Status MoveOne(const RolloutTurn& turn, const RolloutMember& member, const VersionFiles& files);
  absl::Status MoveOneBack(const RolloutTurn& turn, const RolloutMember& member);
  absl::StatusOr<VersionFiles> FilesOf(const graph::v1::UnitVersion& version);

  GraphStore& store_;
  RolloutStore& rollouts_;
  Versions& versions_;
  Units& units_;
  UnitUpdates& updates_;
  runtime::TurnThread thread_{"rollouts", [this] { return runtime::UntilNext(Take()); }};
};

}  // namespace pepeunit::graph_registry
