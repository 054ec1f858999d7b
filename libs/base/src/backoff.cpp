#include "pepeunit/base/backoff.h"

#include <algorithm>
#include <random>

namespace pepeunit {

std::chrono::milliseconds Backoff::Next() {
  thread_local std::minstd_rand random{std::random_device{}()};
  const std::int64_t step = std::min(most_.count(), first_.count() << std::min(tries_, 20));
  ++tries_;
  std::uniform_int_distribution<std::int64_t> spread(step / 2, std::max<std::int64_t>(step, 1));
  return std::chrono::milliseconds(spread(random));
}

}  // namespace pepeunit
