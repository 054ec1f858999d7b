#pragma once

#include <cstddef>
#include <mutex>
#include <string>
#include <unordered_map>

#include "absl/status/status.h"
#include "pepeunit/base/rate_limiter.h"
#include "pepeunit/rpc/caller.h"

namespace pepeunit::gateway {

// How fast one user, or one address without registration, may change things: each change writes to the database, and
// some are kept for a year. Administrators are not bound. Thread-safe.
class ChangeRate {
 public:
  ChangeRate(double per_second, double burst) : per_second_(per_second), burst_(burst) {}

  // RESOURCE_EXHAUSTED (LIMIT) with the time to wait.
  absl::Status Take(const rpc::Caller& caller, std::int64_t now_ms);

 private:
  const double per_second_, burst_;
  std::mutex mutex_;
  std::unordered_map<std::string, RateLimiter> parties_;
};

}  // namespace pepeunit::gateway
