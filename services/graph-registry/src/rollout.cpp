#include "rollout.h"

#include <google/protobuf/util/time_util.h>

#include <utility>

#include "rollout_plan.h"

namespace pepeunit::graph_registry {
namespace {

// Units that the phase is measured by.
int Counted(const graph::v1::RolloutPhaseProgress& phase) {
  return phase.units() - phase.skipped() - phase.without_device() - phase.moved_back() - phase.failed_passed_over();
}

int MayFail(const graph::v1::RolloutPhase& plan, const graph::v1::RolloutPhaseProgress& phase) {
  return Counted(phase) * static_cast<int>(100 - plan.success_percent()) / 100;
}

int Failed(const graph::v1::RolloutPhaseProgress& phase) { return phase.failed() - phase.failed_passed_over(); }

std::string TooMany(int phase, int failed, int counted, int may) {
  return std::to_string(failed) + " of " + std::to_string(counted) + " units failed in phase " +
         std::to_string(phase + 1) + ", and " + (may == 0 ? "none" : "at most " + std::to_string(may)) + " may.";
}

}  // namespace

void EnterState(graph::v1::RolloutState state, std::int64_t now_ms, std::string reason, RolloutRow* row) {
  row->state = state;
  row->since_ms = now_ms;
  row->reason = std::move(reason);
}

RolloutStep Advance(const PhaseCounts& counts, std::int64_t now_ms, RolloutRow* row) {
  int waiting = 0, under_way = 0;
  // Also of phases before: a device may fail, or go back, when its phase is long past.
  for (int phase = 0; phase <= row->phase; ++phase) {
    const auto& now = counts[static_cast<std::size_t>(phase)];
    const int may = MayFail(row->plan.phases(phase), now);
    if (Failed(now) > may) {
      EnterState(graph::v1::ROLLOUT_STATE_STOPPED, now_ms, TooMany(phase, Failed(now), Counted(now), may), row);
      return RolloutStep::kChanged;
    }
    waiting += now.waiting();
    under_way += now.under_way();
  }
  if (waiting > 0) return QuietUntil(row->plan, now_ms) ? RolloutStep::kNothing : RolloutStep::kMove;
  const auto& plan = row->plan.phases(row->phase);
  const auto& now = counts[static_cast<std::size_t>(row->phase)];
  if (row->reached_ms == 0) {
    if (now.succeeded() < Counted(now) - MayFail(plan, now)) return RolloutStep::kNothing;
    row->reached_ms = now_ms;
    return RolloutStep::kChanged;
  }
  // Of a phase without units there is nothing to watch.
  if (now.units() > 0 && now_ms < row->reached_ms + plan.wait().seconds() * 1000) return RolloutStep::kNothing;
  if (row->phase + 1 < row->plan.phases_size()) {
    ++row->phase;
    row->reached_ms = 0;
    return RolloutStep::kChanged;
  }
  if (under_way > 0) return RolloutStep::kNothing;
  EnterState(graph::v1::ROLLOUT_STATE_COMPLETED, now_ms, "", row);
  return RolloutStep::kChanged;
}

bool HasEnded(graph::v1::RolloutState state) {
  return state != graph::v1::ROLLOUT_STATE_RUNNING && state != graph::v1::ROLLOUT_STATE_PAUSED &&
         state != graph::v1::ROLLOUT_STATE_STOPPED;
}

graph::v1::Rollout ToMessage(const RolloutRow& row, const PhaseCounts& counts, std::int64_t now_ms) {
  const auto time = [](std::int64_t ms) { return google::protobuf::util::TimeUtil::MillisecondsToTimestamp(ms); };
  graph::v1::Rollout out;
  out.set_id(row.id);
  out.set_repo_unit_id(row.repo_unit_id);
  out.set_creator_id(row.creator_id);
  *out.mutable_version() = row.target;
  *out.mutable_plan() = row.plan;
  out.set_state(row.state);
  *out.mutable_since() = time(row.since_ms);
  out.set_reason(row.reason);
  out.set_phase(row.phase + 1);
  out.mutable_phases()->Assign(counts.begin(), counts.end());
  *out.mutable_created_at() = time(row.created_ms);
  const auto quiet = QuietUntil(row.plan, now_ms);
  if (quiet && row.state == graph::v1::ROLLOUT_STATE_RUNNING) *out.mutable_quiet_until() = time(*quiet);
  out.set_etag(std::to_string(row.version));
  return out;
}

}  // namespace pepeunit::graph_registry
