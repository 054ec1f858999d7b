#include "rollout_preview.h"

#include <algorithm>

#include "rollout_plan.h"

namespace pepeunit::graph_registry {
namespace {

constexpr int kMostSteps = 20;

}  // namespace

std::vector<int> PhasesOf(const graph::v1::RolloutPlan& plan, const std::vector<RolloutCandidate>& units) {
  std::vector<std::string> groups;
  for (const RolloutCandidate& one : units) groups.push_back(one.group);
  return AssignPhases(plan, groups);
}

PhaseCounts Planned(const graph::v1::RolloutPlan& plan, const std::vector<RolloutCandidate>& units) {
  PhaseCounts counts(static_cast<std::size_t>(plan.phases_size()));
  for (const int phase : PhasesOf(plan, units)) {
    auto& count = counts[static_cast<std::size_t>(phase)];
    count.set_units(count.units() + 1);
    count.set_waiting(count.waiting() + 1);
  }
  return counts;
}

absl::Status ForeseeSteps(Units& units, const std::vector<RolloutCandidate>& candidates, const VersionFiles& files,
                          google::protobuf::RepeatedPtrField<graph::v1::VersionStep>* out) {
  for (const RolloutCandidate& one : candidates) {
    const auto same = std::find_if(out->begin(), out->end(), [&](const graph::v1::VersionStep& step) {
      return step.from_commit() == one.from.commit();
    });
    if (same != out->end()) {
      same->set_units(same->units() + 1);
      continue;
    }
    if (out->size() == kMostSteps) continue;
    graph::v1::VersionStep step;
    step.set_from_commit(one.from.commit());
    step.set_units(1);
    PEPEUNIT_RETURN_IF_ERROR(units.Foresee(one.unit, files, &step));
    *out->Add() = std::move(step);
  }
  return absl::OkStatus();
}

}  // namespace pepeunit::graph_registry
