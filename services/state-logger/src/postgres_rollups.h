#pragma once

#include <cstdint>
#include <mutex>
#include <set>
#include <string>

#include "pepeunit/postgres/pool.h"
#include "stretches.h"

namespace pepeunit::state_logger {

// Minutes are summed up so long after they end; what comes later has its minute made anew.
inline constexpr std::int64_t kRollupLagMs = 90'000;

// Sums readings up by minutes, 15 minutes, hours and days, as they come. Of replicas one does it at a time; where it
// stands is in the tables, so another may go on. Thread-safe.
class PostgresRollups {
 public:
  explicit PostgresRollups(postgres::Pool& pool) : pool_(pool) {}

  // Goes on with a bounded piece of work: whether there is more.
  absl::StatusOr<bool> Advance(std::int64_t now_ms);

 private:
  // Of the months of these times, since 1970 in ms.
  absl::Status EnsureMonths(std::int64_t from_ms, std::int64_t to_ms);
  absl::Status MakeMinutesPending(std::int64_t now_ms);
  absl::StatusOr<bool> AdvanceLevel(std::size_t level);
  absl::StatusOr<bool> MakeLateAnew(std::size_t level);

  postgres::Pool& pool_;
  std::mutex mutex_;
  std::set<std::string> months_;  // that have their tables
};

// Held shared by whoever stores a batch, alone by whoever forgets or moves `rollup_mark`: so a batch either sees what
// they wrote, or is committed before they look.
extern const std::string kForgetLock;

}  // namespace pepeunit::state_logger
