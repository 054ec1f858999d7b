#pragma once

#include "pepeunit/log/v1/values.pb.h"
#include "pepeunit/outbox/follower.h"
#include "pepeunit/rpc/caller.h"
#include "store.h"

namespace pepeunit::state_logger {

// Follows events.graph.unit.> durably: deletes the values of what was removed from the graph (U8, U11), and keeps links
// that lost their right from carrying (G5). graph-registry tells the same beforehand by ApplyNow, so that whoever took
// a right away has his answer when it has its effect. Thread-safe.
class Forgetting {
 public:
  Forgetting(bus::Bus& bus, ValueStore& store);
  // Applies all events that wait, before values are stored: what was ended while nobody was here has ended.
  // Thread-safe, beside what Start began, too.
  absl::Status CatchUp() { return follower_.CatchUp(); }
  void Start() { follower_.Start(); }
  void Stop() { follower_.Stop(); }

  // From its return on nothing passes that the changes forbid.
  absl::Status ApplyNow(const rpc::Caller& caller, const log::v1::ApplyUnitChangesRequest& request);

 private:
  absl::Status Apply(const std::vector<outbox::Received>& events);

  bus::Bus& bus_;
  ValueStore& store_;
  outbox::Follower follower_;
};

}  // namespace pepeunit::state_logger
