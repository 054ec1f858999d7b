#include "sleep.h"

#include "pepeunit/base/clock.h"
#include "pepeunit/base/errors.h"

namespace pepeunit::state_logger {
namespace {

// Less than graph-registry waits for its word (2 s), more than a thread waits for messages (0.5 s).
constexpr std::int64_t kAsleepMs = 1'500;

}  // namespace

Sleep::Sleep(AfterSleep after) : after_(std::move(after)), last_ms_(MonotonicMs()) {}

absl::Status Sleep::Check() {
  if (after_ && MonotonicMs() - last_ms_ > kAsleepMs) PEPEUNIT_RETURN_IF_ERROR(after_());
  last_ms_ = MonotonicMs();
  return absl::OkStatus();
}

}  // namespace pepeunit::state_logger
