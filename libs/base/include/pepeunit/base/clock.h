#pragma once

#include <cstdint>
#include <string>

namespace pepeunit {

// Unix time in ms, UTC.
std::int64_t NowMs();

// Milliseconds of a clock that never jumps, for durations only.
std::int64_t MonotonicMs();

// RFC 3339 in UTC with ms, for example `2026-11-23T15:04:05.678Z`.
std::string FormatTime(std::int64_t unix_ms);

}  // namespace pepeunit
