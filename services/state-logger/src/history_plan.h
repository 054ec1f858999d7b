#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "pepeunit/log/v1/history.pb.h"
#include "store.h"

// What a request for histories asks for, read and checked. Pure.
namespace pepeunit::state_logger {

inline constexpr std::int64_t kMostPoints = 1'000'000;  // of an answer that is not sent as it is read

struct HistoryPlan {
  enum class Mode { kReadings, kSteps, kPoints, kLatest };
  Mode mode = Mode::kReadings;
  std::int64_t from_us = 0, to_us = 0;
  std::int64_t step_ms = 0;
  int points = 0;
  std::optional<std::int64_t> gap_ms;  // 0: none
  std::vector<log::v1::HistoryColumn> columns;
  log::v1::HistoryFormat format = log::v1::HISTORY_FORMAT_JSON;
  bool unix_ms = false;
  std::int64_t limit = 0;  // 0: all
  // Where to go on: nothing before this variable, and of it what comes after this reading.
  std::string resume_variable;
  ReadingKey resume;
};

absl::StatusOr<HistoryPlan> PlanHistory(const log::v1::QueryHistoryRequest& request, std::int64_t now_ms);
std::string HistoryCursor(const HistoryPlan& plan, const std::string& variable, const ReadingKey& after);

// A time as the API takes it: RFC 3339, seconds since 1970 with decimals, `now`, and before now as `-24h` or `now-24h`.
// Between the years 1970 and 2100.
std::optional<std::int64_t> ReadTimeUs(const std::string& text, std::int64_t now_ms);
// Seconds, or a number with s, m, h, d or w; at most 100 years.
std::optional<std::int64_t> ReadDurationMs(const std::string& text);

}  // namespace pepeunit::state_logger
