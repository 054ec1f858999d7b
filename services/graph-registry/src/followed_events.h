#pragma once

#include "follow_turns.h"
#include "pepeunit/outbox/follower.h"
#include "store.h"

namespace pepeunit::graph_registry {

// What the other services tell: repo-sync of its syncs, which the units that follow move with; state-logger of links
// that hit a bound. Replicas share the work; an event that comes again finds nothing left to do.
class FollowedEvents {
 public:
  FollowedEvents(bus::Bus& bus, GraphStore& store, FollowTurns& turns);
  void Start() { syncs_.Start(), links_.Start(); }
  void Stop() { syncs_.Stop(), links_.Stop(); }

 private:
  absl::Status ApplySynced(const bus::v1::Event& event);
  absl::Status ApplyHeldBack(const bus::v1::Event& event);

  GraphStore& store_;
  FollowTurns& turns_;
  outbox::Follower syncs_, links_;
};

}  // namespace pepeunit::graph_registry
