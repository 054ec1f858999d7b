#pragma once

#include <chrono>

namespace pepeunit {

// Exponential backoff with full jitter
// (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/). Not thread-safe.
class Backoff {
 public:
  Backoff(std::chrono::milliseconds first, std::chrono::milliseconds most) : first_(first), most_(most) {}

  // The time to wait before the next try: uniform between half of the step and the step, the step doubling up to
  // `most`.
  std::chrono::milliseconds Next();
  void Reset() { tries_ = 0; }
  int tries() const { return tries_; }

 private:
  std::chrono::milliseconds first_, most_;
  int tries_ = 0;
};

}  // namespace pepeunit
