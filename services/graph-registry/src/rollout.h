#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "pepeunit/graph/v1/rollouts.pb.h"

// What a rollout does next: in which phase it is, whether enough units succeeded, whether too many failed. Pure.
namespace pepeunit::graph_registry {

struct RolloutRow {
  std::string id, repo_unit_id, creator_id;  // UUIDs; no creator: units that follow
  graph::v1::UnitVersion target;
  graph::v1::RolloutPlan plan;
  graph::v1::RolloutState state = graph::v1::ROLLOUT_STATE_RUNNING;
  std::int64_t since_ms = 0, created_ms = 0;
  std::string reason;
  int phase = 0;                // from 0
  std::int64_t reached_ms = 0;  // when enough units of the phase had succeeded; 0: not yet
  std::int64_t version = 1;
};

// Of each phase of the plan.
using PhaseCounts = std::vector<graph::v1::RolloutPhaseProgress>;

enum class RolloutStep {
  kNothing,  // until units succeed or fail, or time passes
  kMove,     // units that wait, of phases up to this one
  kChanged,  // the row is another one now
};

// Lets a running rollout go on. While it answers kChanged it may go on further.
RolloutStep Advance(const PhaseCounts& counts, std::int64_t now_ms, RolloutRow* row);

void EnterState(graph::v1::RolloutState state, std::int64_t now_ms, std::string reason, RolloutRow* row);

// Whether anything can become of it any more, but for being rolled back.
bool HasEnded(graph::v1::RolloutState state);

graph::v1::Rollout ToMessage(const RolloutRow& row, const PhaseCounts& counts, std::int64_t now_ms);

}  // namespace pepeunit::graph_registry
