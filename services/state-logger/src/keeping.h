#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "batch.h"
#include "median.h"

// Which readings are kept when not all are (D3). Pure.
namespace pepeunit::state_logger {

struct WindowKey {
  Uuid variable;
  std::int64_t start_ms = 0, width_ms = 0;
  auto operator<=>(const WindowKey&) const = default;
};

// What came for a window so far.
struct Window {
  Uuid unit;
  common::v1::LoggingMode mode = common::v1::LOGGING_MODE_MEAN;
  std::int64_t count = 0;
  double sum = 0, minimum = 0, maximum = 0, last = 0;
  std::int64_t last_ms = 0;  // of measuring
  double median = 0;         // of a closed window
  Median samples{};          // of an open one, for the median
  std::int64_t due_ms = 0;   // when it closes

  double value() const { return mode == common::v1::LOGGING_MODE_MEDIAN ? median : sum / static_cast<double>(count); }
  // Takes in what came after this one, of the same window, was closed. The median becomes that of the larger part.
  void Merge(const Window& later);
};
using Windows = std::map<WindowKey, Window>;

// The reading of a variable that was kept last, by the time of measuring.
struct Kept {
  std::int64_t time_ms = 0;
  bus::v1::Scalar value;
};
using KeptValues = std::map<Uuid, Kept>;

// A stretch of time of a rate.
struct Slot {
  Uuid variable;
  std::int64_t start_ms = 0, width_ms = 0;
  auto operator<=>(const Slot&) const = default;
};

std::int64_t StartOf(std::int64_t time_ms, std::int64_t width_ms);
// The windows that the batch's samples belong to.
std::set<WindowKey> WindowsOf(const std::vector<SampleRow>& samples);
// The stretches of samples that are older than what was kept last: whether something is kept there already, only the
// history knows.
std::set<Slot> OldSlotsOf(const std::vector<SampleRow>& samples, const KeptValues& kept);

struct KeepingState {
  Windows windows;          // those of WindowsOf that are open
  KeptValues kept;          // of the variables
  std::set<Slot> occupied;  // those of OldSlotsOf in which something is kept
};
// Moves the batch's samples into windows, among the readings, or nowhere. `now_ms` is when it happens.
void Keep(std::int64_t now_ms, KeepingState* state, Batch* batch);

}  // namespace pepeunit::state_logger
