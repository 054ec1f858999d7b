#include "pepeunit/base/rate_limiter.h"

#include <algorithm>
#include <cmath>

namespace pepeunit {

double RateLimiter::After(std::int64_t now_ms) const {
  if (last_ms_ == 0) return tokens_;
  return std::min(burst_, tokens_ + static_cast<double>(now_ms - last_ms_) * per_second_ / 1000.0);
}

std::int64_t RateLimiter::Take(std::int64_t now_ms) {
  tokens_ = After(now_ms);
  last_ms_ = now_ms;
  if (tokens_ >= 1) {
    tokens_ -= 1;
    return 0;
  }
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(std::ceil((1 - tokens_) * 1000.0 / per_second_)));
}

bool RateLimiter::Full(std::int64_t now_ms) const { return After(now_ms) >= burst_; }

}  // namespace pepeunit
