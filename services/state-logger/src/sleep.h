#pragma once

#include <cstdint>
#include <functional>

#include "absl/status/status.h"

namespace pepeunit::state_logger {

// What a thread that lets values pass does first when it finds that the process did not run for a while (a paused
// container, a machine that swaps): look at what was forbidden meanwhile, which graph-registry could not tell. May be
// empty.
using AfterSleep = std::function<absl::Status()>;

// Tells sleep by the time between two calls. Used by one thread.
class Sleep {
 public:
  explicit Sleep(AfterSleep after);
  // Call before anything passes, at least once a second; runs what is to be done, again until it is OK.
  absl::Status Check();

 private:
  const AfterSleep after_;
  std::int64_t last_ms_;
};

}  // namespace pepeunit::state_logger
