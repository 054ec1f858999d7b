#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fields.h"
#include "pepeunit/graph/v1/rollout_plans.pb.h"

// In which order units go to another version. Pure.
namespace pepeunit::graph_registry {

// 10 % of the units, ten minutes, then all; 90 % have to succeed.
graph::v1::RolloutPlan UsualPlan();
// What is wrong with it goes to `fields`, below `field`. Fills in what was left to the defaults.
void CheckPlan(const std::string& field, graph::v1::RolloutPlan* plan, Fields* fields);

// A unit's group, as Fields::Name, but for one that may be empty and has at most 64 characters.
std::string CheckGroup(const std::string& field, const std::string& text, Fields* fields);

// The phase of each unit, from 0, by the units' groups. Earlier units come into earlier phases.
std::vector<int> AssignPhases(const graph::v1::RolloutPlan& plan, const std::vector<std::string>& groups);

// Until when no unit is moved, Unix time in ms; nullopt when it may be moved now. Of days on which the clock is set
// forward or back, the times are those that the clock shows.
std::optional<std::int64_t> QuietUntil(const graph::v1::RolloutPlan& plan, std::int64_t now_ms);

}  // namespace pepeunit::graph_registry
