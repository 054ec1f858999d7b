#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "pepeunit/base/uuid.h"
#include "pepeunit/postgres/pool.h"

namespace pepeunit::state_logger {

// How long the history of a variable is kept, and whose it is.
struct KeptHistory {
  Uuid variable, owner;
  std::int64_t keep_s = 0;  // 0: as long as the instance keeps readings
};

struct HistoryLimits {
  std::int64_t most_days = 3'650;              // readings are kept at most so long
  std::int64_t most_readings = 1'000'000'000;  // of one owner; beyond it the oldest days go
};

// Lets the history go that is too old, too much, or of variables that are gone. What goes is not shown from the moment
// that its cutoff passes it; its rows leave with the table of their day or month, which is dropped, or written anew
// when a quarter of it is of no use. The tables of past days are written anew once besides, in the order of their
// index: so a variable's readings lie together. Thread-safe; replicas may do it at once.
class PostgresUpkeep {
 public:
  PostgresUpkeep(postgres::Pool& pool, HistoryLimits limits) : pool_(pool), limits_(limits) {}

  absl::Status Learn(const std::vector<KeptHistory>& histories);
  absl::Status MoveCutoffs(std::int64_t now_ms);
  // Drops or writes anew one table of readings, or those of a month of roll-ups: whether there is another.
  absl::StatusOr<bool> Tidy();

 private:
  struct Piece;
  absl::Status RemoveOrRewrite(const Piece& piece);

  postgres::Pool& pool_;
  const HistoryLimits limits_;
};

}  // namespace pepeunit::state_logger
