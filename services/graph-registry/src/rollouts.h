#pragma once

#include "pepeunit/rpc/caller.h"
#include "rollout_store.h"
#include "units.h"

namespace pepeunit::graph_registry {

// Rollouts as people make, see and steer them. What moves their units is RolloutTurns. Thread-safe.
class Rollouts {
 public:
  Rollouts(GraphStore& store, RolloutStore& rollouts, Versions& versions, Units& units)
      : store_(store), rollouts_(rollouts), choices_(versions), units_(units) {}

  absl::Status Create(const rpc::Caller& caller, const graph::v1::CreateRolloutRequest& request,
                      graph::v1::Rollout& out);
  absl::Status Get(const rpc::Caller& caller, const std::string& id, graph::v1::Rollout& out);
  absl::Status List(const rpc::Caller& caller, const graph::v1::ListRolloutsRequest& request,
                    graph::v1::ListRolloutsResponse& out);
  absl::Status ListUnits(const rpc::Caller& caller, const graph::v1::ListRolloutUnitsRequest& request,
                         graph::v1::ListRolloutUnitsResponse& out);
  absl::Status Pause(const rpc::Caller& caller, const std::string& id, graph::v1::Rollout& out);
  absl::Status Resume(const rpc::Caller& caller, const std::string& id, graph::v1::Rollout& out);
  absl::Status Retry(const rpc::Caller& caller, const std::string& id, graph::v1::Rollout& out);
  absl::Status Abort(const rpc::Caller& caller, const std::string& id, graph::v1::Rollout& out);
  absl::Status RollBack(const rpc::Caller& caller, const std::string& id, graph::v1::Rollout& out);

 private:
  // A rollout that the caller may see, and what lets him steer it.
  struct Found {
    RolloutRow row;
    PhaseCounts counts;
    Need need;
  };
  absl::StatusOr<Found> Find(const rpc::Caller& caller, const std::string& field, const std::string& id);
  absl::StatusOr<Found> FindToSteer(const rpc::Caller& caller, const std::string& id);
  absl::StatusOr<std::vector<RolloutCandidate>> Choose(const rpc::Caller& caller,
                                                       const graph::v1::CreateRolloutRequest& request,
                                                       const graph::v1::UnitVersion& to);
  // To `next` from one of these states, else FAILED_PRECONDITION (ROLLOUT_STATE).
  absl::Status Steer(const rpc::Caller& caller, const char* action, const std::string& id,
                     const std::vector<graph::v1::RolloutState>& from, graph::v1::RolloutState next,
                     RolloutStore::Failures failures, graph::v1::Rollout& out);

  GraphStore& store_;
  RolloutStore& rollouts_;
  VersionChoices choices_;
  Units& units_;
};

}  // namespace pepeunit::graph_registry
