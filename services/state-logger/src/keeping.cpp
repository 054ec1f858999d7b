#include "keeping.h"

#include <algorithm>
#include <cmath>

namespace pepeunit::state_logger {
namespace {

bool IsWindowed(const common::v1::Logging& policy) {
  return policy.mode() == common::v1::LOGGING_MODE_MEAN || policy.mode() == common::v1::LOGGING_MODE_MEDIAN;
}

double NumberOf(const bus::v1::Scalar& value) { return value.has_boolean() ? value.boolean() : value.number(); }

WindowKey WindowOf(const SampleRow& sample) {
  const std::int64_t width_ms = std::max<std::int64_t>(sample.policy->window_s(), 1) * 1000;
  return {sample.variable, StartOf(sample.time_ms, width_ms), width_ms};
}

Slot SlotOf(const SampleRow& sample) {
  const std::int64_t width_ms = std::max<std::int64_t>(sample.policy->every_s(), 1) * 1000;
  return {sample.variable, StartOf(sample.time_ms, width_ms), width_ms};
}

void AddToWindow(const SampleRow& sample, std::int64_t now_ms, Windows* windows) {
  const WindowKey key = WindowOf(sample);
  const double value = NumberOf(*sample.value);
  const auto [at, fresh] = windows->try_emplace(key);
  Window& window = at->second;
  // A window ends with the policy that it began with.
  if (fresh) window = {.unit = sample.unit, .mode = sample.policy->mode(), .minimum = value, .maximum = value};
  ++window.count;
  window.sum += value;
  window.minimum = std::min(window.minimum, value);
  window.maximum = std::max(window.maximum, value);
  if (window.count == 1 || sample.time_ms >= window.last_ms) {
    window.last = value;
    window.last_ms = sample.time_ms;
  }
  if (window.mode == common::v1::LOGGING_MODE_MEDIAN) window.samples.Add(value);
  const std::int64_t grace_ms = (sample.policy->has_grace_s() ? sample.policy->grace_s() : 10) * 1000;
  window.due_ms = std::max(key.start_ms + key.width_ms, now_ms) + grace_ms;
}

bool Differs(const bus::v1::Scalar& a, const bus::v1::Scalar& b, double dead_band) {
  if (a.kind_case() != b.kind_case()) return true;
  if (a.has_number()) return dead_band > 0 ? std::fabs(a.number() - b.number()) > dead_band : a.number() != b.number();
  return a.SerializeAsString() != b.SerializeAsString();
}

bool Changes(const SampleRow& sample, const KeptValues& kept) {
  const auto last = kept.find(sample.variable);
  if (last == kept.end()) return true;
  // Older than what is kept: nothing says what was before it.
  if (sample.time_ms < last->second.time_ms) return true;
  const std::int64_t every_ms = sample.policy->every_s() * 1000;
  if (every_ms > 0 && sample.time_ms - last->second.time_ms >= every_ms) return true;
  return Differs(*sample.value, last->second.value, sample.policy->dead_band());
}

bool OpensSlot(const SampleRow& sample, KeepingState* state) {
  const auto last = state->kept.find(sample.variable);
  const Slot slot = SlotOf(sample);
  if (last == state->kept.end() || slot.start_ms > last->second.time_ms) return true;
  if (slot.start_ms == StartOf(last->second.time_ms, slot.width_ms)) return false;
  return state->occupied.insert(slot).second;
}

}  // namespace

std::int64_t StartOf(std::int64_t time_ms, std::int64_t width_ms) { return time_ms - time_ms % width_ms; }

void Window::Merge(const Window& later) {
  if (later.count > count) median = later.median;
  count += later.count;
  sum += later.sum;
  minimum = std::min(minimum, later.minimum);
  maximum = std::max(maximum, later.maximum);
  if (later.last_ms >= last_ms) {
    last = later.last;
    last_ms = later.last_ms;
  }
}

std::set<WindowKey> WindowsOf(const std::vector<SampleRow>& samples) {
  std::set<WindowKey> keys;
  for (const SampleRow& sample : samples) {
    if (IsWindowed(*sample.policy)) keys.insert(WindowOf(sample));
  }
  return keys;
}

std::set<Slot> OldSlotsOf(const std::vector<SampleRow>& samples, const KeptValues& kept) {
  std::set<Slot> slots;
  std::map<Uuid, std::int64_t> newest;
  for (const auto& [variable, last] : kept) newest[variable] = last.time_ms;
  for (const SampleRow& sample : samples) {
    if (sample.policy->mode() != common::v1::LOGGING_MODE_RATE) continue;
    const auto [last, fresh] = newest.try_emplace(sample.variable, sample.time_ms);
    const Slot slot = SlotOf(sample);
    if (!fresh && slot.start_ms < StartOf(last->second, slot.width_ms)) slots.insert(slot);
    last->second = std::max(last->second, sample.time_ms);
  }
  return slots;
}

void Keep(std::int64_t now_ms, KeepingState* state, Batch* batch) {
  for (const SampleRow& sample : batch->samples()) {
    if (IsWindowed(*sample.policy)) {
      AddToWindow(sample, now_ms, &state->windows);
      continue;
    }
    const bool keep = sample.policy->mode() == common::v1::LOGGING_MODE_RATE ? OpensSlot(sample, state)
                                                                             : Changes(sample, state->kept);
    if (!keep) continue;
    batch->AddReading({sample.variable, sample.unit, sample.time_ms, sample.stream_seq, sample.ord, sample.value});
    const auto [last, fresh] = state->kept.try_emplace(sample.variable, Kept{sample.time_ms, *sample.value});
    if (!fresh && sample.time_ms >= last->second.time_ms) last->second = {sample.time_ms, *sample.value};
  }
}

}  // namespace pepeunit::state_logger
