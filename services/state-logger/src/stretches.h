#pragma once

#include <string>

// Readings and roll-ups as rows of one shape, and how rows of it are summed up into longer stretches: SQL.
namespace pepeunit::state_logger {

// A length of the stretches that are summed up, and the tables.
struct RollupLevel {
  int width_s;
  const char* table;
  const char* source;  // what it is made from: the level before it, or `reading`
};
inline constexpr RollupLevel kRollupLevels[] = {{60, "rollup_60", "reading"},
                                                {900, "rollup_900", "rollup_60"},
                                                {3'600, "rollup_3600", "rollup_900"},
                                                {86'400, "rollup_86400", "rollup_3600"}};

// The rows of `table` as r: series, time, count, rows, sum, minimum, minimum_at, maximum, maximum_at, last, last_at,
// and what tells equal times apart: seq, ord. `rest` is what follows FROM. A sum of numbers near the greatest that
// there are would be an error of PostgreSQL's, so they are cut there.
std::string StretchesOf(const std::string& table, const std::string& rest);

// What FROM (`stretches`) gives, summed up by series and by the SQL expression `bucket` of r: series, bucket, count,
// rows, sum, minimum, minimum_at, maximum, maximum_at, last, last_at. Of equal extremes the first counts.
std::string SumUp(const std::string& stretches, const std::string& bucket);

}  // namespace pepeunit::state_logger
