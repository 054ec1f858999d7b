#include "link_flow.h"

#include <algorithm>
#include <cmath>

namespace pepeunit::state_logger {
namespace {

// Clocks of several replicas of unit-ingest may disagree: time never runs backwards here.
void Fill(const LinkLimits& limits, std::int64_t now_ms, LinkState* state) {
  if (state->filled_ms == 0) {
    state->tokens = limits.burst;
  } else if (now_ms > state->filled_ms) {
    const double more = static_cast<double>(now_ms - state->filled_ms) * limits.per_second / 1000.0;
    state->tokens = std::min(limits.burst, state->tokens + more);
  }
  state->filled_ms = std::max(state->filled_ms, now_ms);
}

bool Take(LinkState* state) {
  constexpr double kAlmost = 1 - 1e-9;  // sums of fractions
  if (state->tokens < kAlmost) return false;
  state->tokens = std::max(0.0, state->tokens - 1);
  return true;
}

void Pass(const CurrentRow& row, std::int64_t now_ms, LinkState* state, Batch* batch) {
  ++state->carried;
  state->carried_ms = now_ms;
  state->held.reset();
  batch->AddCurrent(row);
}

// A bound hit: remembered, and told if that was not done in this stretch of time.
void Hit(const Way& way, common::v1::LinkBound bound, std::int64_t now_ms, std::int64_t* last_ms, Batch* batch) {
  if (now_ms / kTellBoundMs != *last_ms / kTellBoundMs) batch->AddHeldBack({way.link, bound, now_ms});
  *last_ms = now_ms;
}

void Hold(const LinkLimits& limits, const DeliveryRow& delivery, LinkState* state) {
  ++state->limited;
  const double wait_ms = (1 - state->tokens) * 1000.0 / limits.per_second;
  state->held = HeldValue{.value = *delivery.value,
                          .time_ms = delivery.time_ms,
                          .stream_seq = delivery.stream_seq,
                          .version = delivery.version,
                          .due_ms = state->filled_ms + static_cast<std::int64_t>(std::ceil(wait_ms))};
}

LinkState& StateOf(const Way& way, LinkStates* states) {
  LinkState& state = (*states)[way.link];
  state.unit = way.unit;
  state.output = way.output;
  state.input = way.input;
  state.target = way.target;
  return state;
}

}  // namespace

void Carry(const LinkLimits& limits, LinkStates* states, Batch* batch) {
  for (const DeliveryRow& delivery : batch->deliveries()) {
    LinkState& state = StateOf(delivery.way, states);
    if (delivery.version < state.void_before) continue;
    Fill(limits, delivery.received_ms, &state);
    if (!Take(&state)) {
      Hit(delivery.way, common::v1::LINK_BOUND_RATE, delivery.received_ms, &state.limited_ms, batch);
      Hold(limits, delivery, &state);
      continue;
    }
    Pass({delivery.way.input, delivery.way.target, true, delivery.value, delivery.time_ms, delivery.stream_seq},
         delivery.received_ms, &state, batch);
  }
  for (const RefusalRow& refusal : batch->refusals()) {
    LinkState& state = StateOf(refusal.way, states);
    state.unfit += refusal.unfit;
    state.beyond_fan_out += refusal.beyond_fan_out;
    state.refused_ms = refusal.received_ms;
    if (refusal.beyond_fan_out > 0)
      Hit(refusal.way, common::v1::LINK_BOUND_FAN_OUT, refusal.received_ms, &state.fan_out_ms, batch);
  }
}

void Release(const LinkLimits& limits, std::int64_t now_ms, LinkStates* states, Batch* batch) {
  for (auto& [link, state] : *states) {
    if (!state.held || state.held->due_ms > now_ms) continue;
    Fill(limits, now_ms, &state);
    (void)Take(&state);  // the time has come by this clock, whatever fractions say
    const HeldValue held = *std::move(state.held);
    Pass({state.input, state.target, true, batch->Own(held.value), held.time_ms, held.stream_seq}, now_ms, &state,
         batch);
  }
}

}  // namespace pepeunit::state_logger
