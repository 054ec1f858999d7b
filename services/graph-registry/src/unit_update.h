#pragma once

#include <cstdint>
#include <string>

#include "pepeunit/bus/v1/events.pb.h"
#include "pepeunit/graph/v1/units.pb.h"

// How far a device is with the version that its unit stands at: what becomes of it with each thing that happens (U13).
// Pure.
namespace pepeunit::graph_registry {

// Attempts that may fail before somebody has to ask for another one.
inline constexpr std::uint32_t kMostUpdateFailures = 3;

struct UpdateRow {
  std::string running_commit;
  std::int64_t running_ms = 0;
  std::uint64_t sequence = 0;  // of the last report that told something
  graph::v1::UpdateState state = graph::v1::UPDATE_STATE_UNKNOWN;
  std::int64_t since_ms = 0, heard_ms = 0, offered_ms = 0;
  std::uint32_t attempt = 1;  // as the device is offered it; rises over all versions
  bool offered = true;        // whether another attempt may end better
  std::uint32_t failures = 0;
  std::int64_t done_bytes = 0, total_bytes = 0;
  std::string reason;

  bool operator==(const UpdateRow&) const = default;
};

struct UpdateTimeouts {
  std::int64_t silence_ms = 3'600'000;     // on the way
  std::int64_t deadline_ms = 604'800'000;  // until the device comes for it
};

// The unit's version is another one now.
void Retarget(const std::string& target, std::int64_t now_ms, UpdateRow* row);
// The device told something. What it told before, or of another attempt, changes nothing but the sequence.
void Hear(const bus::v1::DeviceTold& told, const std::string& target, UpdateRow* row);
// Time passed.
void Expire(const UpdateTimeouts& timeouts, std::int64_t now_ms, UpdateRow* row);
// Somebody asks for another attempt; false when the device runs the version or is on the way to it.
bool Retry(std::int64_t now_ms, UpdateRow* row);

graph::v1::UnitUpdate ToMessage(const UpdateRow& row);

}  // namespace pepeunit::graph_registry
