#include "history_rows.h"

#include <fmt/format.h>

#include <algorithm>

#include "pepeunit/base/clock.h"
#include "pepeunit/postgres/params.h"
#include "rows.h"

namespace pepeunit::state_logger {

std::string MicrosText(std::int64_t us) {
  const std::int64_t clamped = std::clamp<std::int64_t>(us, 0, 4'102'444'800'000'000);
  std::string text = FormatTime(clamped / 1'000);
  return text.insert(text.size() - 1, fmt::format("{:03}", clamped % 1'000));
}

std::vector<std::optional<Series>> SelectSeries(pqxx::work& tx, const std::vector<Uuid>& variables) {
  std::map<Uuid, Series> known;
  for (const auto& row : tx.exec_params(
           "SELECT variable_id, id, (extract(epoch FROM greatest(cutoff, to_timestamp(0))) * 1000000)::bigint"
           " FROM series WHERE variable_id = ANY ($1::uuid[])",
           postgres::ArrayOf(variables))) {
    known[ReadUuid(row[0])] = {row[1].as<int>(), row[2].as<std::int64_t>()};
  }
  std::vector<std::optional<Series>> series;
  for (const Uuid& variable : variables) {
    const auto found = known.find(variable);
    series.push_back(found == known.end() ? std::nullopt : std::optional(found->second));
  }
  return series;
}

// The bounds are constants, so that only the tables of these days are looked into.
std::vector<StoredPoint> SelectReadings(pqxx::work& tx, const Series& series, std::int64_t from_us,
                                        const ReadingKey& after, std::int64_t to_us, int limit) {
  const auto rows = tx.exec(
      fmt::format("SELECT round(date_part('epoch', time) * 1000000)::bigint, stream_seq, ord, kind, number, text, "
                  "stats[1], stats[2],"
                  " stats[3], stats[4], stats[5] FROM reading WHERE series = {} AND time >= '{}' AND time < '{}'"
                  " AND (time, stream_seq, ord) > ('{}', {}, {}) ORDER BY time, stream_seq, ord LIMIT {}",
                  series.id, MicrosText(std::max({from_us, after.time_us, series.cutoff_us})), MicrosText(to_us),
                  MicrosText(after.time_us), after.stream_seq, after.ord, limit));
  std::vector<StoredPoint> result;
  result.reserve(rows.size());
  for (const auto& row : rows) {
    StoredPoint& stored = result.emplace_back();
    stored.key = {row[0].as<std::int64_t>(), row[1].as<std::uint64_t>(), row[2].as<int>()};
    HistoryPoint& point = stored.point;
    point.time_us = stored.key.time_us;
    point.value = ReadScalar(row[3], row[4], row[5]);
    point.count = 1;
    point.summed = !row[4].is_null();
    if (!point.summed) continue;
    const double number = row[4].as<double>();
    point.sum = point.minimum = point.maximum = point.last = number;
    if (row[6].is_null()) continue;
    point.count = static_cast<std::int64_t>(row[6].as<double>());
    point.sum = row[7].as<double>();
    point.minimum = row[8].as<double>();
    point.maximum = row[9].as<double>();
    point.last = row[10].as<double>();
  }
  return result;
}

}  // namespace pepeunit::state_logger
