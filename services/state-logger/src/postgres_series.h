#pragma once

#include <mutex>
#include <set>
#include <unordered_map>

#include "batch.h"
#include "pepeunit/postgres/pool.h"

namespace pepeunit::state_logger {

using SeriesIds = std::unordered_map<Uuid, int>;

// What a batch needs to be there before its transaction: the series of its variables, and the tables of its days. Made
// in transactions of their own, for making a table keeps readers of `reading` out until the commit. What is known to be
// there is remembered. Thread-safe.
class PostgresSeries {
 public:
  explicit PostgresSeries(postgres::Pool& pool) : pool_(pool) {}

  // By variable. Those that were removed from the graph have none.
  absl::StatusOr<SeriesIds> Ensure(const std::vector<std::pair<Uuid, Uuid>>& variables_and_units);
  absl::Status EnsureDays(const std::set<std::int64_t>& days);  // since 1970-01-01
  // Perhaps somebody dropped a table.
  void Forget();

 private:
  absl::Status Make(const std::vector<std::pair<Uuid, Uuid>>& missing);

  postgres::Pool& pool_;
  std::mutex mutex_;
  SeriesIds ids_;
  std::set<std::int64_t> days_;
};

inline constexpr std::int64_t kDayMs = 86'400'000;

}  // namespace pepeunit::state_logger
