#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace pepeunit::schema {

enum class Type { kNumber, kInteger, kBoolean, kString, kJson };

enum class LoggingMode { kOff, kDirect, kMean, kMedian, kOnChange, kRate };

// Which readings of an output are kept, and for how long; pepeunit.common.v1.Logging tells what the fields mean.
struct Logging {
  LoggingMode mode = LoggingMode::kDirect;
  std::int64_t window_s = 0;
  std::int64_t grace_s = 10;
  double dead_band = 0;
  std::int64_t every_s = 0;
  std::int64_t keep_s = 0;  // 0: as long as the instance keeps readings

  bool windowed() const { return mode == LoggingMode::kMean || mode == LoggingMode::kMedian; }
  bool operator==(const Logging&) const = default;
};

// As schema.json names it: "off", "direct", "mean", "median", "on_change", "rate".
const char* ModeName(LoggingMode mode);
bool ParseMode(std::string_view name, LoggingMode* out);

// Calls `fail` with the field (`window_s` ...) and what is wrong with it, for an output of this type. `mode` must be one
// of the enum.
void CheckLogging(const Logging& logging, Type type,
                  const std::function<void(const std::string& field, const std::string& what)>& fail);

// "10s", "15m", "2h", "30d" or a whole number of seconds; false when it is none of these or beyond 100 years.
bool ParseSeconds(std::string_view text, std::int64_t* out);

}  // namespace pepeunit::schema
