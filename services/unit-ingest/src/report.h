#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "pepeunit/bus/v1/events.pb.h"
#include "pepeunit/bus/v1/values.pb.h"
#include "profile.h"

// A device's plaintext, read against its unit's profile. Pure.
namespace pepeunit::unit_ingest {

inline constexpr std::size_t kMaxReadings = 64;  // objects of `output_variables`
inline constexpr std::size_t kMaxValues = 512;   // in all of them
inline constexpr std::int64_t kMaxAgeMs = 30LL * 86'400'000;
inline constexpr std::size_t kMaxStateBytes = 2048;
inline constexpr std::size_t kMaxStateKeys = 64;
inline constexpr std::size_t kMaxReasonBytes = 512;  // of an update that failed
inline constexpr int kMaxDepth = 20;
inline constexpr std::size_t kMaxAnswerBytes = 4000;  // of plaintext, unless the device asked for more

struct Parsed {
  bus::v1::ValueMessage message;                // the report, complete but for the request's tag and sequence
  std::string commit;                           // unit_state.commit, or empty
  std::optional<bus::v1::DeviceUpdate> update;  // what it says of its update
  std::size_t max_answer = kMaxAnswerBytes;
  std::vector<bus::v1::LinkRefusals> refusals;  // of each value that did not go on its way along a link
};

// Checks everything and names each field at fault (INVALID_ARGUMENT). `max_deliveries` bounds the fan-out.
absl::StatusOr<Parsed> ParseReport(const Profile& profile, std::string_view plaintext, std::int64_t received_ms,
                                   std::size_t max_deliveries);

}  // namespace pepeunit::unit_ingest
