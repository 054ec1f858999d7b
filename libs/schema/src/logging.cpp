#include "pepeunit/schema/logging.h"

#include <charconv>
#include <cmath>
#include <iterator>

namespace pepeunit::schema {
namespace {

constexpr const char* kModeNames[] = {"off", "direct", "mean", "median", "on_change", "rate"};
constexpr std::int64_t kDay = 86'400, kHour = 3'600, kMostSeconds = 36'525 * kDay;

bool DividesDay(std::int64_t seconds) { return seconds >= 1 && seconds <= kDay && kDay % seconds == 0; }

}  // namespace

const char* ModeName(LoggingMode mode) { return kModeNames[static_cast<int>(mode)]; }

bool ParseMode(std::string_view name, LoggingMode* out) {
  for (std::size_t i = 0; i < std::size(kModeNames); ++i) {
    if (name != kModeNames[i]) continue;
    *out = static_cast<LoggingMode>(i);
    return true;
  }
  return false;
}

void CheckLogging(const Logging& logging, Type type,
                  const std::function<void(const std::string& field, const std::string& what)>& fail) {
  const bool number = type == Type::kNumber || type == Type::kInteger, on_change = logging.mode == LoggingMode::kOnChange,
             rate = logging.mode == LoggingMode::kRate;
  const char* whole = "must be a part of a day without remainder, from 1 second to 1 day, for example 60 s or 1 h";
  if (logging.windowed()) {
    if (!number && type != Type::kBoolean) fail("mode", "mean and median are of numbers, integers and booleans");
    if (!DividesDay(logging.window_s)) fail("window_s", whole);
    if (logging.grace_s < 0 || logging.grace_s > kHour) fail("grace_s", "must be from 0 to 3600 seconds");
  } else if (logging.window_s != 0) {
    fail("window_s", "is for mean and median only");
  }
  if (logging.dead_band != 0 && !(on_change && number)) fail("dead_band", "is for numbers that are kept on_change only");
  if (!std::isfinite(logging.dead_band) || logging.dead_band < 0) fail("dead_band", "must be a number from 0");
  if (rate && !DividesDay(logging.every_s)) fail("every_s", whole);
  if (on_change && (logging.every_s < 0 || logging.every_s > kDay)) fail("every_s", "must be from 0 to 86400 seconds");
  if (!rate && !on_change && logging.every_s != 0) fail("every_s", "is for rate and on_change only");
  if (logging.keep_s != 0 && (logging.keep_s < kHour || logging.keep_s > kMostSeconds))
    fail("keep_s", "must be from 1 hour to 100 years, or 0 for as long as the instance keeps readings");
}

bool ParseSeconds(std::string_view text, std::int64_t* out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  if (error != std::errc() || *out < 0 || *out > kMostSeconds || unit.size() > 1) return false;
  const std::int64_t scale = unit.empty() || unit == "s" ? 1 : unit == "m" ? 60 : unit == "h" ? kHour : unit == "d" ? kDay : 0;
  if (scale == 0 || *out > kMostSeconds / scale) return false;
  *out *= scale;
  return true;
}

}  // namespace pepeunit::schema
