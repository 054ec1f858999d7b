#include "postgres_rollups.h"

#include <fmt/format.h>

#include <algorithm>

#include "pepeunit/base/clock.h"
#include "pepeunit/base/errors.h"
#include "postgres_series.h"
#include "stage.h"

namespace pepeunit::state_logger {

const std::string kForgetLock = "hashtext('pepeunit forget ' || current_schema())";

namespace {

constexpr std::int64_t kMostAtOnceMs = 3'600'000;  // of readings, when there is something to catch up with
constexpr int kMostLate = 5'000;

std::string Bucket(int width_s) { return fmt::format("date_bin('{} s', r.time, 'epoch')", width_s); }

// `rest` is what follows FROM, and names the rows of the level's source as r.
std::string MakeStretches(const RollupLevel& level, const std::string& rest) {
  return fmt::format(
      "INSERT INTO {} (series, time, count, rows, sum, minimum, minimum_at, maximum, maximum_at, last, last_at) {}",
      level.table, SumUp(StretchesOf(level.source, rest), Bucket(level.width_s)));
}

// One replica at a time; until the end of the transaction.
bool MayLead(pqxx::work& tx) {
  return tx.exec1("SELECT pg_try_advisory_xact_lock(hashtext('pepeunit roll-ups ' || current_schema()))")[0].as<bool>();
}

struct Progress {
  std::int64_t done_ms = 0, pending_ms = 0;
};

Progress ReadProgress(pqxx::work& tx, int width_s) {
  const auto row = tx.exec_params1(
      "SELECT (extract(epoch FROM done) * 1000)::bigint, (extract(epoch FROM pending) * 1000)::bigint FROM rollup_mark"
      " WHERE width = $1",
      width_s);
  return {row[0].as<std::int64_t>(), row[1].as<std::int64_t>()};
}

std::string Quoted(std::int64_t time_ms) { return "'" + FormatTime(time_ms) + "'"; }

}  // namespace

absl::StatusOr<bool> PostgresRollups::Advance(std::int64_t now_ms) {
  PEPEUNIT_RETURN_IF_ERROR(MakeMinutesPending(now_ms));
  bool more = false;
  for (std::size_t level = 0; level < std::size(kRollupLevels); ++level) {
    PEPEUNIT_ASSIGN_OR_RETURN(const bool new_left, AdvanceLevel(level));
    PEPEUNIT_ASSIGN_OR_RETURN(const bool late_left, MakeLateAnew(level));
    more = more || new_left || late_left;
  }
  return more;
}

absl::Status PostgresRollups::EnsureMonths(std::int64_t from_ms, std::int64_t to_ms) {
  std::set<std::string> missing;
  {
    std::lock_guard lock(mutex_);
    for (std::int64_t at = from_ms; at < to_ms; at += 86'400'000) missing.insert(FormatTime(at).substr(0, 7));
    if (from_ms < to_ms) missing.insert(FormatTime(to_ms - 1).substr(0, 7));
    for (const std::string& month : months_) missing.erase(month);
  }
  if (missing.empty()) return absl::OkStatus();
  PEPEUNIT_RETURN_IF_ERROR(pool_.Transact("make months", [&](pqxx::work& tx) {
    tx.exec("SELECT pg_advisory_xact_lock(hashtext('pepeunit days ' || current_schema()))");
    for (const std::string& month : missing) {
      const std::string first = month + "-01 00:00:00+00";
      const int year = std::stoi(month.substr(0, 4)), number = std::stoi(month.substr(5));
      const std::string next = fmt::format("{:04}-{:02}-01 00:00:00+00", year + number / 12, number % 12 + 1);
      for (const RollupLevel& level : kRollupLevels) {
        tx.exec(
            fmt::format("CREATE TABLE IF NOT EXISTS {0}_{1:04}{2:02} PARTITION OF {0} FOR VALUES FROM ('{3}') TO"
                        " ('{4}')",
                        level.table, year, number, first, next));
      }
      tx.exec("INSERT INTO rollup_month (month) VALUES ('" + month + "-01') ON CONFLICT DO NOTHING");
    }
    return absl::OkStatus();
  }));
  std::lock_guard lock(mutex_);
  months_.merge(missing);
  return absl::OkStatus();
}

// What is stored from here on before `pending` is marked as late; what was stored before is seen by AdvanceLevel.
absl::Status PostgresRollups::MakeMinutesPending(std::int64_t now_ms) {
  return pool_.Transact("roll-up pending", [&](pqxx::work& tx) -> absl::Status {
    const Progress mark = ReadProgress(tx, 60);
    const std::int64_t pending_ms = std::min((now_ms - kRollupLagMs) / 60'000 * 60'000, mark.done_ms + kMostAtOnceMs);
    if (pending_ms <= mark.pending_ms || !MayLead(tx)) return absl::OkStatus();
    tx.exec("SELECT pg_advisory_xact_lock(" + kForgetLock + ")");
    tx.exec("UPDATE rollup_mark SET pending = greatest(pending, " + Quoted(pending_ms) + ") WHERE width = 60");
    return absl::OkStatus();
  });
}

absl::StatusOr<bool> PostgresRollups::AdvanceLevel(std::size_t at) {
  const RollupLevel& level = kRollupLevels[at];
  const std::int64_t width_ms = level.width_s * 1'000;
  struct Range {
    std::int64_t from_ms = 0, to_ms = 0;
  };
  const auto range_of = [&](pqxx::work& tx) -> Range {
    const Progress mark = ReadProgress(tx, level.width_s);
    const std::int64_t ready_ms = at == 0 ? mark.pending_ms : ReadProgress(tx, kRollupLevels[at - 1].width_s).done_ms;
    const std::int64_t end_ms = std::min(ready_ms / width_ms * width_ms, mark.done_ms + 31 * kDayMs);
    return {mark.done_ms, end_ms};
  };
  PEPEUNIT_ASSIGN_OR_RETURN(const Range planned, pool_.Query<Range>("roll-up range", [&](pqxx::work& tx) {
    return absl::StatusOr<Range>(range_of(tx));
  }));
  if (planned.from_ms >= planned.to_ms) return false;
  PEPEUNIT_RETURN_IF_ERROR(EnsureMonths(planned.from_ms, planned.to_ms));
  return pool_.Query<bool>("roll up", [&](pqxx::work& tx) -> absl::StatusOr<bool> {
    if (!MayLead(tx)) return false;
    tx.exec("SET LOCAL statement_timeout = '10min'");
    const Range range = range_of(tx);
    if (range.from_ms >= range.to_ms || range.to_ms > planned.to_ms) return true;
    tx.exec(MakeStretches(level, fmt::format("{} AS r WHERE r.time >= {} AND r.time < {}", level.source,
                                             Quoted(range.from_ms), Quoted(range.to_ms))));
    tx.exec(fmt::format("UPDATE rollup_mark SET done = {0}, pending = greatest(pending, {0}) WHERE width = {1}",
                        Quoted(range.to_ms), level.width_s));
    return range.to_ms - range.from_ms >= kMostAtOnceMs && at == 0;
  });
}

absl::StatusOr<bool> PostgresRollups::MakeLateAnew(std::size_t at) {
  const RollupLevel& level = kRollupLevels[at];
  // A day of readings, or a month of stretches, at a time: its bounds are constants, so that no other table is looked
  // into.
  const std::string unit = at == 0 ? "day" : "month";
  struct Period {
    std::string from, to;
    std::int64_t from_ms = 0, to_ms = 0;
  };
  PEPEUNIT_ASSIGN_OR_RETURN(
      const Period period, pool_.Query<Period>("late roll-ups", [&](pqxx::work& tx) -> absl::StatusOr<Period> {
        const auto rows = tx.exec(fmt::format(
            "SELECT f, t, (extract(epoch FROM f) * 1000)::bigint, (extract(epoch FROM t) * 1000)::bigint FROM (SELECT"
            " date_trunc('{0}', min(time), 'UTC') AS f, date_trunc('{0}', min(time), 'UTC') + interval '1 {0}' AS t"
            " FROM rollup_late WHERE width = {1} AND time < (SELECT done FROM rollup_mark WHERE width = {1})) AS p"
            " WHERE f IS NOT NULL",
            unit, level.width_s));
        if (rows.empty()) return Period();
        return Period{rows[0][0].c_str(), rows[0][1].c_str(), rows[0][2].as<std::int64_t>(),
                      rows[0][3].as<std::int64_t>()};
      }));
  if (period.from.empty()) return false;
  PEPEUNIT_RETURN_IF_ERROR(EnsureMonths(period.from_ms, period.to_ms));
  return pool_.Query<bool>("roll up anew", [&](pqxx::work& tx) -> absl::StatusOr<bool> {
    if (!MayLead(tx)) return false;
    const std::string within = fmt::format("time >= '{}' AND time < '{}'", period.from, period.to);
    const auto taken = tx.exec(fmt::format(
        "DELETE FROM rollup_late WHERE ctid = ANY (ARRAY(SELECT ctid FROM rollup_late WHERE width = {0} AND {1} AND"
        " time < (SELECT done FROM rollup_mark WHERE width = {0}) ORDER BY time LIMIT {2})) RETURNING series, time",
        level.width_s, within, kMostLate));
    std::set<std::pair<int, std::string>> stretches;
    for (const auto& row : taken) stretches.emplace(row[0].as<int>(), row[1].c_str());
    if (stretches.empty()) return false;
    Array series, time;
    for (const auto& [id, start] : stretches) {
      series.Add(std::to_string(id));
      time.AddQuoted(start);
    }
    const std::string late = fmt::format("unnest({}::int[], {}::timestamptz[]) AS l (s, start)",
                                         tx.quote(series.Finish()), tx.quote(time.Finish()));
    tx.exec(fmt::format("DELETE FROM {} AS r USING {} WHERE r.series = l.s AND r.time = l.start AND r.{}", level.table,
                        late, within));
    tx.exec(MakeStretches(level,
                          fmt::format("{} JOIN {} AS r ON r.series = l.s AND r.time >= l.start AND r.time < l.start +"
                                      " interval '{} s' WHERE r.{}",
                                      late, level.source, level.width_s, within)));
    if (at + 1 < std::size(kRollupLevels)) {
      const int next_s = kRollupLevels[at + 1].width_s;
      tx.exec(
          fmt::format("INSERT INTO rollup_late (width, series, time) SELECT DISTINCT {0}, l.s, date_bin('{0} s',"
                      " l.start, 'epoch') FROM {1} WHERE date_bin('{0} s', l.start, 'epoch') <"
                      " (SELECT done FROM rollup_mark WHERE width = {0})",
                      next_s, late));
    }
    return true;
  });
}

}  // namespace pepeunit::state_logger
