#pragma once

#include "follow_turns.h"
#include "pepeunit/outbox/follower.h"
#include "store.h"
#include "unit_updates.h"

namespace pepeunit::graph_registry {

// What the other services tell: repo-sync of its syncs, which the units that follow move with; state-logger of links
// that hit a bound; unit-ingest of what devices say of their versions. Replicas share the work; an event that comes
// again finds nothing left to do.
class FollowedEvents {
 public:
  FollowedEvents(bus::Bus& bus, GraphStore& store, FollowTurns& turns, UnitUpdates& updates);
  void Start() { syncs_.Start(), links_.Start(), devices_.Start(); }
  void Stop() { syncs_.Stop(), links_.Stop(), devices_.Stop(); }

 private:
  absl::Status ApplySynced(const bus::v1::Event& event);
  absl::Status ApplyHeldBack(const bus::v1::Event& event);
  absl::Status ApplyTold(const bus::v1::Event& event);

  GraphStore& store_;
  FollowTurns& turns_;
  UnitUpdates& updates_;
  outbox::Follower syncs_, links_, devices_;
};

}  // namespace pepeunit::graph_registry
