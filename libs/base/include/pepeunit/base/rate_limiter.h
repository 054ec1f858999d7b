#pragma once

#include <cstdint>

namespace pepeunit {

// A token bucket (https://en.wikipedia.org/wiki/Token_bucket). Not thread-safe.
class RateLimiter {
 public:
  RateLimiter(double per_second, double burst) : per_second_(per_second), burst_(burst), tokens_(burst) {}
  // 0 when one may pass; else the time to wait, in ms.
  std::int64_t Take(std::int64_t now_ms);
  // Whether it is as if nothing had ever passed.
  bool Full(std::int64_t now_ms) const;

 private:
  double After(std::int64_t now_ms) const;

  double per_second_, burst_, tokens_;
  std::int64_t last_ms_ = 0;
};

}  // namespace pepeunit
