#pragma once

#include <pqxx/pqxx>

#include "keeping.h"
#include "postgres_series.h"

// The tables behind keeping.h. Each call within a transaction.
namespace pepeunit::state_logger {

// What the batch's samples meet, locked in the order of the keys.
KeepingState LockKeeping(pqxx::work& tx, const std::vector<SampleRow>& samples, const SeriesIds& ids);
void StoreKeeping(pqxx::work& tx, const KeepingState& state);

// Takes out the windows that are due, at most so many, in the order of their keys.
Windows TakeDueWindows(pqxx::work& tx, std::int64_t now_ms, int most);
// What is kept of them already, because they were closed before, goes into them, and out of `reading`.
void MergeClosed(pqxx::work& tx, const SeriesIds& ids, Windows* windows);

}  // namespace pepeunit::state_logger
