#include "postgres_history.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "history_rows.h"
#include "keeping.h"
#include "pepeunit/base/clock.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/postgres/params.h"
#include "postgres_rollups.h"
#include "rows.h"
#include "stage.h"

namespace pepeunit::state_logger {
namespace {

constexpr std::size_t kSamplesAtOnce = 50'000;

// Up to where each width of roll-ups holds all of these series: as far as they are made, but not beyond the first
// stretch that is to be made anew.
std::vector<std::int64_t> ReadMarks(pqxx::work& tx, const std::vector<Series>& series) {
  Array ids;
  for (const Series& one : series) ids.Add(std::to_string(one.id));
  std::vector<std::int64_t> marks(std::size(kRollupLevels), 0);
  for (const auto& row :
       tx.exec_params("SELECT width, (extract(epoch FROM done) * 1000000)::bigint, false FROM rollup_mark UNION ALL"
                      " SELECT width, (extract(epoch FROM min(time)) * 1000000)::bigint, true FROM rollup_late"
                      " WHERE series = ANY ($1::int[]) GROUP BY width ORDER BY 3",
                      ids.Finish())) {
    for (std::size_t i = 0; i < marks.size(); ++i) {
      const std::int64_t width_us = kRollupLevels[i].width_s * 1'000'000LL, at_us = row[1].as<std::int64_t>();
      const bool late = row[2].as<bool>();
      if (late && row[0].as<int>() <= kRollupLevels[i].width_s)
        marks[i] = std::min(marks[i], at_us / width_us * width_us);
      if (!late && row[0].as<int>() == kRollupLevels[i].width_s) marks[i] = at_us;
    }
  }
  return marks;
}

// The coarsest roll-ups whose stretches fit into `width_ms`, without remainder if `whole`; -1: none do.
int LevelFor(std::int64_t width_ms, bool whole) {
  int fits = -1;
  for (int i = 0; i < static_cast<int>(std::size(kRollupLevels)); ++i) {
    const std::int64_t level_ms = kRollupLevels[i].width_s * 1'000LL;
    if (level_ms <= width_ms && (!whole || width_ms % level_ms == 0)) fits = i;
  }
  return fits;
}

// Stretches and readings of the period: of roll-ups of this level as far as they are made, then of minutes, then of
// readings, so that nothing is missing at its end.
std::string RowsOf(const std::string& ids, std::int64_t from_us, std::int64_t to_us, int level,
                   const std::vector<std::int64_t>& marks) {
  std::string rows;
  std::int64_t at_us = from_us;
  const auto add = [&](const std::string& table, std::int64_t end_us) {
    end_us = std::min(end_us, to_us);
    if (end_us <= at_us) return;
    rows += (rows.empty() ? "" : " UNION ALL ") +
            StretchesOf(table, fmt::format("{} AS r WHERE r.series = ANY ('{}'::int[]) AND r.time >= '{}' AND r.time <"
                                           " '{}'",
                                           table, ids, MicrosText(at_us), MicrosText(end_us)));
    at_us = end_us;
  };
  // A roll-up that begins before the period holds more than is asked for.
  if (level >= 0) {
    const std::int64_t width_us = kRollupLevels[level].width_s * 1'000'000LL;
    const std::int64_t whole_us = (from_us + width_us - 1) / width_us * width_us;
    if (whole_us < std::min(to_us, marks[static_cast<std::size_t>(level)])) {
      if (whole_us > from_us) add("reading", whole_us);
      add(kRollupLevels[level].table, std::min(marks[static_cast<std::size_t>(level)], to_us / width_us * width_us));
    }
    if (level > 0 && at_us % 60'000'000 == 0)
      add(kRollupLevels[0].table, std::min(marks[0], to_us / 60'000'000 * 60'000'000));
  }
  add("reading", to_us);
  return rows;
}

// Series that may be read from the same time on, together.
struct Group {
  std::int64_t from_us = 0;
  Array ids;
};

std::vector<Group> GroupByStart(const std::vector<Series>& series, std::int64_t from_us, std::int64_t unit_us) {
  std::map<std::int64_t, Group> groups;
  for (const Series& one : series) {
    // Whole steps, for what is summed up beyond the cutoff cannot be taken apart.
    const std::int64_t start_us = std::max(from_us, (one.cutoff_us + unit_us - 1) / unit_us * unit_us);
    Group& group = groups[start_us];
    group.from_us = start_us;
    group.ids.Add(std::to_string(one.id));
  }
  std::vector<Group> list;
  for (auto& [start, group] : groups) list.push_back(std::move(group));
  return list;
}

// The lowest and highest of each stretch, of rows in the order of series and time.
class ExtremesOf {
 public:
  ExtremesOf(std::int64_t from_us, std::int64_t width_us) : from_us_(from_us), width_us_(width_us) {}

  void Add(std::vector<PlotPoint>* out, std::int64_t time_us, const PlotPoint& low, const PlotPoint& high) {
    const std::int64_t stretch = (time_us - from_us_) / width_us_;
    if (out != out_ || stretch != stretch_) {
      Finish();
      out_ = out, stretch_ = stretch, low_ = low, high_ = high;
      return;
    }
    if (low.value < low_.value) low_ = low;
    if (high.value > high_.value) high_ = high;
  }
  void Finish() {
    if (out_ == nullptr) return;
    if (high_.time_us < low_.time_us) std::swap(low_, high_);
    out_->push_back(low_);
    if (high_ != low_) out_->push_back(high_);
    out_ = nullptr;
  }

 private:
  const std::int64_t from_us_, width_us_;
  std::vector<PlotPoint>* out_ = nullptr;
  std::int64_t stretch_ = 0;
  PlotPoint low_, high_;
};

std::map<int, std::size_t> PlacesOf(const std::vector<Series>& series) {
  std::map<int, std::size_t> places;
  for (std::size_t i = 0; i < series.size(); ++i) places[series[i].id] = i;
  return places;
}

}  // namespace

absl::StatusOr<std::vector<std::optional<Series>>> PostgresHistory::FindSeries(const std::vector<Uuid>& variables) {
  using Result = std::vector<std::optional<Series>>;
  return pool_.Query<Result>("find series",
                             [&](pqxx::work& tx) -> absl::StatusOr<Result> { return SelectSeries(tx, variables); });
}

absl::StatusOr<std::vector<StoredPoint>> PostgresHistory::Readings(const Series& series, std::int64_t from_us,
                                                                   const ReadingKey& after, std::int64_t to_us,
                                                                   int limit) {
  using Result = std::vector<StoredPoint>;
  return pool_.Query<Result>("read readings", [&](pqxx::work& tx) -> absl::StatusOr<Result> {
    return SelectReadings(tx, series, from_us, after, to_us, limit);
  });
}

absl::StatusOr<std::vector<std::vector<HistoryPoint>>> PostgresHistory::Steps(const std::vector<Series>& series,
                                                                              std::int64_t from_us, std::int64_t to_us,
                                                                              std::int64_t step_ms) {
  using Result = std::vector<std::vector<HistoryPoint>>;
  return pool_.Query<Result>("read steps", [&](pqxx::work& tx) -> absl::StatusOr<Result> {
    tx.exec("SET LOCAL statement_timeout = '60s'");
    const auto marks = ReadMarks(tx, series);
    const auto places = PlacesOf(series);
    Result result(series.size());
    for (Group& group : GroupByStart(series, from_us, step_ms * 1'000)) {
      if (group.from_us >= to_us) continue;
      const auto rows = tx.exec(
          "SELECT series, round(date_part('epoch', bucket) * 1000000)::bigint, count, sum, minimum, maximum, last FROM "
          "(" +
          SumUp(RowsOf(group.ids.Finish(), group.from_us, to_us, LevelFor(step_ms, true), marks),
                fmt::format("date_bin('{} ms', r.time, 'epoch')", step_ms)) +
          ") AS s ORDER BY 1, 2");
      for (const auto& row : rows) {
        HistoryPoint& point = result[places.at(row[0].as<int>())].emplace_back();
        point.time_us = row[1].as<std::int64_t>();
        point.count = row[2].as<std::int64_t>();
        point.summed = !row[3].is_null();
        if (!point.summed) continue;
        point.sum = row[3].as<double>();
        point.minimum = row[4].as<double>();
        point.maximum = row[5].as<double>();
        point.last = row[6].as<double>();
      }
    }
    return result;
  });
}

absl::StatusOr<std::vector<std::vector<PlotPoint>>> PostgresHistory::Extremes(const std::vector<Series>& series,
                                                                              std::int64_t from_us, std::int64_t to_us,
                                                                              std::int64_t stretches) {
  using Result = std::vector<std::vector<PlotPoint>>;
  const std::int64_t width_us = std::max<std::int64_t>((to_us - from_us) / std::max<std::int64_t>(stretches, 1), 1'000);
  return pool_.Query<Result>("read extremes", [&](pqxx::work& tx) -> absl::StatusOr<Result> {
    tx.exec("SET LOCAL statement_timeout = '60s'");
    const auto marks = ReadMarks(tx, series);
    const auto places = PlacesOf(series);
    Result result(series.size());
    for (Group& group : GroupByStart(series, from_us, 1)) {
      if (group.from_us >= to_us) continue;
      const int level = LevelFor(width_us / 1'000, false);
      const std::string stretched = RowsOf(group.ids.Finish(), group.from_us, to_us, level, marks);
      // Roll-ups are few, and put together faster here; of readings there may be any number.
      const auto rows = tx.exec(
          level >= 0
              ? "SELECT series, round(date_part('epoch', time) * 1000000)::bigint,"
                " round(date_part('epoch', minimum_at) * 1000000)::bigint, minimum,"
                " round(date_part('epoch', maximum_at) * 1000000)::bigint, maximum FROM (" +
                    stretched + ") AS r WHERE minimum IS NOT NULL ORDER BY series, time"
              : fmt::format("SELECT series, round(date_part('epoch', bucket) * 1000000)::bigint,"
                            " round(lowest[2] * 1000000)::bigint, lowest[1], round(-highest[2] * 1000000)::bigint,"
                            " highest[1] FROM (SELECT r.series, date_bin('{} us', r.time, '{}') AS bucket,"
                            " min(ARRAY[r.minimum, date_part('epoch', r.minimum_at)]) AS lowest,"
                            " max(ARRAY[r.maximum, -date_part('epoch', r.maximum_at)]) AS highest"
                            " FROM ({}) AS r WHERE r.minimum IS NOT NULL GROUP BY 1, 2) AS s ORDER BY series, bucket",
                            width_us, MicrosText(from_us), stretched));
      ExtremesOf extremes(from_us, width_us);
      for (const auto& row : rows) {
        extremes.Add(&result[places.at(row[0].as<int>())], row[1].as<std::int64_t>(),
                     {row[2].as<std::int64_t>(), row[3].as<double>()},
                     {row[4].as<std::int64_t>(), row[5].as<double>()});
      }
      extremes.Finish();
    }
    return result;
  });
}

absl::StatusOr<std::vector<std::vector<promql::Sample>>> PostgresHistory::Samples(
    const std::vector<Series>& series, std::int64_t from_ms, std::int64_t to_ms, std::size_t most,
    const std::function<bool()>& cancelled) {
  std::vector<std::vector<promql::Sample>> result(series.size());
  const auto places = PlacesOf(series);
  std::size_t left = most;
  for (Group& group : GroupByStart(series, from_ms * 1'000, 1)) {
    const std::string ids = group.ids.Finish();
    // Some at a time, so that what PostgreSQL sends fits into little memory.
    std::string after;
    for (bool more = group.from_us <= to_ms * 1'000; more;) {
      if (cancelled()) return absl::CancelledError("the query was cancelled, or took too long");
      using Page = std::vector<std::pair<std::size_t, promql::Sample>>;
      PEPEUNIT_ASSIGN_OR_RETURN(const Page page, pool_.Query<
                                                     Page>("read samples", [&](pqxx::work& tx) -> absl::StatusOr<Page> {
        const auto rows = tx.exec(fmt::format(
            "SELECT series, round(date_part('epoch', time) * 1000)::bigint, number, time, stream_seq, ord FROM reading"
            " WHERE series = ANY ('{}'::int[]) AND time >= '{}' AND time < '{}' AND number IS NOT NULL{}"
            " ORDER BY series, time, stream_seq, ord LIMIT {}",
            ids, MicrosText(group.from_us), MicrosText(to_ms * 1'000 + 1'000), after, kSamplesAtOnce));
        Page read;
        for (const auto& row : rows)
          read.emplace_back(places.at(row[0].as<int>()),
                            promql::Sample{row[1].as<std::int64_t>(), row[2].as<double>()});
        more = rows.size() == kSamplesAtOnce;
        if (more) {
          const auto& last = rows.back();
          after = fmt::format(" AND (series, time, stream_seq, ord) > ({}, '{}', {}, {})", last[0].c_str(),
                              last[3].c_str(), last[4].c_str(), last[5].c_str());
        }
        return read;
      }));
      if (page.size() > left)
        return absl::FailedPreconditionError("query processing would load too many samples into memory (more than " +
                                             std::to_string(most) + "); ask for fewer series or a shorter time");
      left -= page.size();
      for (const auto& [place, sample] : page) {
        auto& samples = result[place];
        if (!samples.empty() && samples.back().time_ms == sample.time_ms) samples.pop_back();
        samples.push_back(sample);
      }
    }
  }
  return result;
}

absl::StatusOr<std::vector<std::optional<HistoryPoint>>> PostgresHistory::Latest(const std::vector<Uuid>& variables) {
  using Result = std::vector<std::optional<HistoryPoint>>;
  return pool_.Query<Result>("read latest", [&](pqxx::work& tx) -> absl::StatusOr<Result> {
    std::map<Uuid, HistoryPoint> known;
    for (const auto& row : tx.exec_params("SELECT variable_id, round(date_part('epoch', time) * 1000000)::bigint, "
                                          "kind, number, text FROM current_value"
                                          " WHERE variable_id = ANY ($1::uuid[])",
                                          postgres::ArrayOf(variables))) {
      HistoryPoint& point = known[ReadUuid(row[0])];
      point.time_us = row[1].as<std::int64_t>();
      point.value = ReadScalar(row[2], row[3], row[4]);
      point.count = 1;
      point.summed = !row[3].is_null();
      if (point.summed) point.sum = point.minimum = point.maximum = point.last = row[3].as<double>();
    }
    Result result;
    for (const Uuid& variable : variables) {
      const auto found = known.find(variable);
      result.push_back(found == known.end() ? std::nullopt : std::optional(found->second));
    }
    return result;
  });
}

absl::StatusOr<std::int64_t> PostgresHistory::Import(const Uuid& variable, const Uuid& unit,
                                                     const std::vector<ImportedReading>& readings) {
  if (readings.empty()) return 0;
  std::set<std::int64_t> days;
  for (const ImportedReading& reading : readings) days.insert(reading.time_us / 1'000 / kDayMs);
  PEPEUNIT_RETURN_IF_ERROR(series_.EnsureDays(days));
  PEPEUNIT_ASSIGN_OR_RETURN(const SeriesIds ids, series_.Ensure({{variable, unit}}));
  if (ids.empty()) return NotFound("variable");
  const int id = ids.begin()->second;
  const auto imported = pool_.Query<std::int64_t>("import", [&](pqxx::work& tx) -> absl::StatusOr<std::int64_t> {
    tx.exec("SELECT pg_advisory_xact_lock_shared(" + kForgetLock + ")");
    // Of two imports of the same readings at once the second finds those of the first.
    tx.exec_params("SELECT 1 FROM series WHERE id = $1 FOR NO KEY UPDATE", id);
    Array time, kind, number, text;
    for (const ImportedReading& reading : readings) {
      time.Add(MicrosText(reading.time_us));
      AddColumns(reading.value, &kind, &number, &text);
    }
    const auto added = tx.exec_params(
        "INSERT INTO reading (time, stream_seq, number, series, ord, kind, text) SELECT DISTINCT ON (n.time) n.time, 0,"
        " n.number, $5, 0, n.kind, n.text FROM unnest($1::timestamptz[], $2::smallint[], $3::float8[], $4::text[]) WITH"
        " ORDINALITY AS n (time, kind, number, text, place) WHERE NOT EXISTS (SELECT 1 FROM reading AS r WHERE r.series"
        " = $5 AND r.time = n.time) ORDER BY n.time, n.place RETURNING round(date_part('epoch', time) * 1000)::bigint",
        time.Finish(), kind.Finish(), number.Finish(), text.Finish(), id);
    const auto mark = tx.exec1("SELECT (extract(epoch FROM pending) * 1000)::bigint FROM rollup_mark WHERE width = 60");
    std::set<std::pair<int, std::int64_t>> late;
    for (const auto& row : added) {
      if (row[0].as<std::int64_t>() < mark[0].as<std::int64_t>())
        late.emplace(id, StartOf(row[0].as<std::int64_t>(), 60'000));
    }
    MarkLate(tx, late);
    return static_cast<std::int64_t>(added.size());
  });
  if (!imported.ok()) series_.Forget();
  return imported;
}

}  // namespace pepeunit::state_logger
