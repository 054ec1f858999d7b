#include "postgres_upkeep.h"

#include <fmt/format.h>

#include "pepeunit/base/clock.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/base/log.h"
#include "postgres_rollups.h"
#include "stage.h"

namespace pepeunit::state_logger {

// What is dropped or written anew together.
struct PostgresUpkeep::Piece {
  bool month = false;  // of roll-ups; else a day of readings
  std::string day;     // the first one, as 2026-01-31
  std::string from, to;
  bool drop = false;
};

namespace {

// Days that are over, and of which all is summed up. What is of no use is known from what is summed up by days.
constexpr char kNextDay[] =
    "SELECT day, day, day + 1, live = 0 FROM (SELECT d.day, d.sorted_at, coalesce(sum(r.rows) FILTER (WHERE s.id IS NOT"
    " NULL AND r.time + interval '1 day' > s.cutoff), 0) AS live, coalesce(d.rows, sum(r.rows), 0) AS had"
    " FROM reading_day d LEFT JOIN rollup_86400 r ON r.time = d.day::timestamp AT TIME ZONE 'UTC'"
    " LEFT JOIN series s ON s.id = r.series"
    " WHERE (d.day + 2)::timestamp AT TIME ZONE 'UTC' <= (SELECT done FROM rollup_mark WHERE width = 86400)"
    " AND NOT EXISTS (SELECT 1 FROM rollup_late AS l WHERE l.time >= d.day::timestamp AT TIME ZONE 'UTC' AND l.time <"
    " (d.day + 1)::timestamp AT TIME ZONE 'UTC')"
    " GROUP BY d.day) AS days WHERE live = 0 OR sorted_at IS NULL OR live < had * 0.75 ORDER BY day LIMIT 1";
constexpr char kNextMonth[] =
    "SELECT month, month, (month + interval '1 month')::date, live = 0 FROM (SELECT m.month, count(r.time) FILTER"
    " (WHERE s.id IS NOT NULL AND r.time + interval '1 day' > s.cutoff) AS live, count(r.time) AS had"
    " FROM rollup_month m LEFT JOIN rollup_86400 r ON r.time >= m.month::timestamp AT TIME ZONE 'UTC' AND"
    " r.time < (m.month + interval '1 month') AT TIME ZONE 'UTC' LEFT JOIN series s ON s.id = r.series"
    " WHERE (m.month + interval '1 month') AT TIME ZONE 'UTC' <= (SELECT done FROM rollup_mark WHERE width = 86400)"
    " AND NOT EXISTS (SELECT 1 FROM rollup_late AS l WHERE l.time >= m.month::timestamp AT TIME ZONE 'UTC' AND l.time <"
    " (m.month + interval '1 month') AT TIME ZONE 'UTC')"
    " GROUP BY m.month) AS months WHERE live = 0 OR live < had * 0.75 ORDER BY month LIMIT 1";

// As they are named where they are made.
std::string Digits(const std::string& day, std::size_t count) {
  std::string digits = day;
  std::erase(digits, '-');
  return digits.substr(0, count);
}

// Without what nobody can see any more, in the order of the index.
std::int64_t Rewrite(pqxx::work& tx, const std::string& parent, const std::string& table, const std::string& from,
                     const std::string& to, const std::string& order) {
  const std::string bounds = fmt::format("time >= '{}' AND time < '{}'", from, to);
  // Nobody writes meanwhile, but readers are kept out only while the tables change places.
  tx.exec("LOCK TABLE " + table + " IN SHARE MODE");
  tx.exec(fmt::format("CREATE TABLE {}_new (LIKE {} INCLUDING INDEXES, CHECK ({}))", table, parent, bounds));
  const auto kept = tx.exec(
      fmt::format("INSERT INTO {0}_new SELECT r.* FROM {0} AS r JOIN series AS s ON s.id = r.series WHERE r.time >="
                  " s.cutoff ORDER BY {1}",
                  table, order));
  tx.exec(fmt::format("ALTER TABLE {0} DETACH PARTITION {1}", parent, table));
  tx.exec("DROP TABLE " + table);
  tx.exec(fmt::format("ALTER TABLE {0}_new RENAME TO {0}", table));
  tx.exec(fmt::format("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ('{}') TO ('{}')", parent, table, from, to));
  tx.exec(fmt::format("ALTER TABLE {0} DROP CONSTRAINT {0}_new_time_check", table));
  return static_cast<std::int64_t>(kept.affected_rows());
}

}  // namespace

absl::Status PostgresUpkeep::Learn(const std::vector<KeptHistory>& histories) {
  Array variable, owner, keep;
  for (const KeptHistory& history : histories) {
    variable.Add(history.variable.ToString());
    owner.Add(history.owner.ToString());
    keep.Add(std::to_string(history.keep_s));
  }
  return pool_.Transact("learn histories", [&](pqxx::work& tx) {
    tx.exec_params(
        "UPDATE series AS s SET owner_id = n.owner, keep_s = n.keep FROM unnest($1::uuid[], $2::uuid[], $3::bigint[])"
        " AS n (variable, owner, keep) WHERE s.variable_id = n.variable AND (s.owner_id, s.keep_s) IS DISTINCT FROM"
        " (n.owner, n.keep)",
        variable.Finish(), owner.Finish(), keep.Finish());
    return absl::OkStatus();
  });
}

absl::Status PostgresUpkeep::MoveCutoffs(std::int64_t now_ms) {
  return pool_.Transact("move cutoffs", [&](pqxx::work& tx) {
    tx.exec("SET LOCAL statement_timeout = '10min'");
    tx.exec_params(
        "UPDATE series AS s SET cutoff = n.cutoff FROM (SELECT id, $1::timestamptz - make_interval(secs =>"
        " least(coalesce(nullif(keep_s, 0), $2), $2)) AS cutoff FROM series) AS n"
        " WHERE s.id = n.id AND n.cutoff > s.cutoff",
        FormatTime(now_ms), limits_.most_days * 86'400);
    const auto over = tx.exec_params(
        "WITH days AS (SELECT s.owner_id, r.time AS day, sum(r.rows) AS rows FROM rollup_86400 AS r JOIN series AS s ON"
        " s.id = r.series WHERE s.owner_id IS NOT NULL AND r.time + interval '1 day' > s.cutoff GROUP BY 1, 2),"
        " sums AS (SELECT owner_id, day, sum(rows) OVER (PARTITION BY owner_id ORDER BY day DESC) AS rows FROM days),"
        " over AS (SELECT owner_id, max(day) + interval '1 day' AS cutoff FROM sums WHERE rows > $1 GROUP BY owner_id),"
        " moved AS (UPDATE series AS s SET cutoff = over.cutoff FROM over WHERE s.owner_id = over.owner_id AND s.cutoff"
        " < over.cutoff RETURNING s.owner_id) SELECT DISTINCT owner_id FROM moved",
        limits_.most_readings);
    for (const auto& row : over)
      log::Warning("an owner has more readings than the instance keeps; the oldest days go",
                   {{"owner", row[0].c_str()}});
    return absl::OkStatus();
  });
}

absl::StatusOr<bool> PostgresUpkeep::Tidy() {
  for (const bool month : {false, true}) {
    using Found = std::optional<Piece>;
    PEPEUNIT_ASSIGN_OR_RETURN(const Found found,
                              pool_.Query<Found>("tidy", [&](pqxx::work& tx) -> absl::StatusOr<Found> {
                                const auto rows = tx.exec(month ? kNextMonth : kNextDay);
                                if (rows.empty()) return Found();
                                const std::string midnight = " 00:00:00+00";
                                return Found(Piece{month, rows[0][0].c_str(), rows[0][1].c_str() + midnight,
                                                   rows[0][2].c_str() + midnight, rows[0][3].as<bool>()});
                              }));
    if (!found) continue;
    PEPEUNIT_RETURN_IF_ERROR(RemoveOrRewrite(*found));
    return true;
  }
  return false;
}

absl::Status PostgresUpkeep::RemoveOrRewrite(const Piece& piece) {
  return pool_.Transact("write history anew", [&](pqxx::work& tx) {
    tx.exec("SET LOCAL statement_timeout = '1h'");
    tx.exec("SET LOCAL lock_timeout = '10s'");
    tx.exec("SET LOCAL work_mem = '64MB'");
    // One at a time; another replica finds it done, and looks again.
    tx.exec("SELECT pg_advisory_xact_lock(hashtext('pepeunit tidy ' || current_schema()))");
    const std::string mine = piece.month ? "rollup_month WHERE month = '" : "reading_day WHERE day = '";
    if (tx.exec("SELECT 1 FROM " + mine + piece.day + "' FOR UPDATE").empty()) return absl::OkStatus();
    if (piece.drop) {
      if (piece.month) {
        for (const RollupLevel& level : kRollupLevels)
          tx.exec(fmt::format("DROP TABLE {}_{}", level.table, Digits(piece.day, 6)));
      } else {
        tx.exec("DROP TABLE reading_" + Digits(piece.day, 8));
      }
      tx.exec("DELETE FROM " + mine + piece.day + "'");
    } else if (piece.month) {
      for (const RollupLevel& level : kRollupLevels) {
        Rewrite(tx, level.table, fmt::format("{}_{}", level.table, Digits(piece.day, 6)), piece.from, piece.to,
                "r.series, r.time");
      }
    } else {
      const std::int64_t rows = Rewrite(tx, "reading", "reading_" + Digits(piece.day, 8), piece.from, piece.to,
                                        "r.series, r.time, r.stream_seq, r.ord");
      tx.exec_params("UPDATE reading_day SET sorted_at = now(), rows = $2 WHERE day = $1::date", piece.day, rows);
    }
    log::Info("history tidied", {{"first_day", piece.day}, {"month", piece.month}, {"dropped", piece.drop}});
    return absl::OkStatus();
  });
}

}  // namespace pepeunit::state_logger
