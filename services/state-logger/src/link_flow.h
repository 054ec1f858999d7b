#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "batch.h"

// What passes along links, and how fast (G4, G5). Pure.
namespace pepeunit::state_logger {

// The token bucket of each link (https://en.wikipedia.org/wiki/Token_bucket).
struct LinkLimits {
  double per_second = 10, burst = 20;
};

struct HeldValue {
  bus::v1::Scalar value;
  std::int64_t time_ms = 0;      // of measuring
  std::uint64_t stream_seq = 0;  // of the report that brought it
  std::uint64_t version = 0;     // of the profile that it was made from
  std::int64_t due_ms = 0;       // when the bucket has a token for it
};

struct LinkState {
  Uuid unit, output, input, target;
  std::int64_t carried = 0, limited = 0, unfit = 0, beyond_fan_out = 0;
  std::int64_t carried_ms = 0, limited_ms = 0, refused_ms = 0, fan_out_ms = 0;  // when it last happened; 0: never
  double tokens = 0;
  std::int64_t filled_ms = 0;     // 0: the bucket is full
  std::uint64_t void_before = 0;  // values from an older profile do not pass
  std::optional<HeldValue> held;  // the newest of those that came too fast
};
using LinkStates = std::map<Uuid, LinkState>;

// While a bound holds back values of a link, that is told so often.
inline constexpr std::int64_t kTellBoundMs = 300'000;

// Lets the batch's deliveries through, in their order: void ones go, those that come too fast wait, each instead of the
// one before it, and the others become values of their inputs. `states` holds those of the batch's links that have any.
void Carry(const LinkLimits& limits, LinkStates* states, Batch* batch);

// Lets through what waited and is due, into an empty batch.
void Release(const LinkLimits& limits, std::int64_t now_ms, LinkStates* states, Batch* batch);

}  // namespace pepeunit::state_logger
