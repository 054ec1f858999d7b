#pragma once

#include "rollout_store.h"
#include "units.h"

namespace pepeunit::graph_registry {

// The phase of each of the units, from 0.
std::vector<int> PhasesOf(const graph::v1::RolloutPlan& plan, const std::vector<RolloutCandidate>& units);

// How many of them would wait in each phase.
PhaseCounts Planned(const graph::v1::RolloutPlan& plan, const std::vector<RolloutCandidate>& units);

// What would be done to them, by the version that they come from: the step that one of them takes. At most 20.
absl::Status ForeseeSteps(Units& units, const std::vector<RolloutCandidate>& candidates, const VersionFiles& files,
                          google::protobuf::RepeatedPtrField<graph::v1::VersionStep>* out);

}  // namespace pepeunit::graph_registry
