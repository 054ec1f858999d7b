#include <cmath>
#include <random>
#include <thread>

#include "fixture.h"
#include "keeping.h"
#include "pepeunit/base/clock.h"
#include "postgres_rollups.h"
#include "postgres_upkeep.h"

using namespace pepeunit;
using namespace pepeunit::state_logger;

namespace {

const bus::StreamState kTheStream{
    .messages = 0, .bytes = 0, .first_sequence = 1, .last_sequence = 1'000'000, .created_ns = 1};
constexpr std::int64_t kNoon = 1'700'000'000'000 / kDayMs * kDayMs + 43'200'000;
absl::Status Silent(const Batch&) { return absl::OkStatus(); }

struct Plain {
  std::int64_t count = 0;
  double sum = 0, minimum = INFINITY, maximum = -INFINITY, last = 0;
  std::int64_t last_ms = INT64_MIN;
  std::vector<double> values;

  void Add(std::int64_t time_ms, double value) {
    ++count;
    sum += value;
    minimum = std::min(minimum, value);
    maximum = std::max(maximum, value);
    if (time_ms >= last_ms) last = value, last_ms = time_ms;
    values.push_back(value);
  }
  double Middle() {
    std::sort(values.begin(), values.end());
    const std::size_t half = values.size() / 2;
    return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
  }
};

struct History : Tables {
  const Uuid unit = Uuid::New();
  PostgresRollups rollups{pool};
  std::uint64_t at = 0;

  History() { REQUIRE(store.Resume(0, Now(kTheStream)).ok()); }
  void Store(const ReportMaker& report) {
    Batch batch;
    batch.Add(report.At(at + 1));
    REQUIRE(store.Apply(0, at, batch, Silent).ok());
    ++at;
  }
  void CloseAll() {
    while (store.CloseWindows(4'102'444'800'000).value()) {
    }
  }
  void RollUp(std::int64_t now_ms) {
    while (rollups.Advance(now_ms).value()) {
    }
  }
  // As if roll-ups had been made since then.
  void RollUpFrom(std::int64_t time_ms) {
    REQUIRE(Exec("UPDATE rollup_mark SET done = date_bin(make_interval(secs => width), to_timestamp(" +
                 std::to_string(time_ms / 1000) +
                 "), 'epoch'), pending = date_bin(make_interval(secs => width),"
                 " to_timestamp(" +
                 std::to_string(time_ms / 1000) + "), 'epoch')")
                .ok());
  }
};

}  // namespace

TEST_CASE("windows hold what a plain computation says, whatever is redelivered, restarted or late", "[D3]") {
  const auto seed = GENERATE(range(1u, 6u));
  INFO("seed " << seed);
  History h;
  std::mt19937 random(seed);
  const auto width_s = std::vector<int>{1, 10, 60, 3600}[random() % 4];
  const Uuid mean = Uuid::New(), median = Uuid::New();
  std::map<std::int64_t, Plain> plain;
  std::vector<bus::Message> messages;
  for (std::uint64_t i = 1; i <= 60; ++i) {
    ReportMaker report(h.unit, i);
    for (auto n = random() % 8; n > 0; --n) {
      const std::int64_t time = kNoon + static_cast<std::int64_t>(i) * 1'000 + random() % 5'000 - 2'500;
      const double value = std::round(std::normal_distribution<double>(20, 5)(random) * 100) / 100;
      report.Sample(mean, time, Number(value), Policy(common::v1::LOGGING_MODE_MEAN, width_s));
      report.Sample(median, time, Number(value), Policy(common::v1::LOGGING_MODE_MEDIAN, width_s));
      plain[StartOf(time, width_s * 1'000)].Add(time, value);
    }
    messages.push_back(report.At(i));
  }
  std::size_t applied = 0;
  while (applied < messages.size()) {
    const std::size_t end = std::min(messages.size(), applied + 1 + random() % 9);
    // A crash before the commit, then the same again, perhaps by another process, and then once more.
    Batch batch;
    for (std::size_t i = applied; i < end; ++i) batch.Add(messages[i]);
    if (random() % 3 == 0)
      CHECK_FALSE(h.store.Apply(0, applied, batch, [](const Batch&) { return absl::UnavailableError(""); }).ok());
    PostgresStore other(h.pool);
    REQUIRE((random() % 2 == 0 ? h.store : other).Apply(0, applied, batch, Silent).ok());
    CHECK_FALSE(h.store.Apply(0, applied, batch, Silent).ok());
    applied = end;
    // Some close while more of them is to come: what comes is merged. Not for the median, which is then of the larger
    // part.
    if (random() % 10 == 0)
      REQUIRE(h.Exec("UPDATE open_window SET due_ms = 0 WHERE variable_id = '" + mean.ToString() + "'").ok());
    (void)h.store.CloseWindows(1'000).value();
  }
  h.CloseAll();
  CHECK(h.One("SELECT count(*) FROM open_window") == "0");
  for (const Uuid& variable : {mean, median}) {
    const auto rows = h.store.Readings(variable, {}, 4'000'000'000'000'000, 10'000).value();
    REQUIRE(rows.size() == plain.size());
    for (const auto& row : rows) {
      Plain& expected = plain.at(row.key.time_us / 1'000);
      const double value = variable == mean ? expected.sum / static_cast<double>(expected.count) : expected.Middle();
      CHECK(row.value.number() == Approx(value).epsilon(1e-12));
    }
  }
  const std::string of_mean =
      " FROM reading r JOIN series s ON s.id = r.series WHERE s.variable_id = '" + mean.ToString() + "' AND r.time = '";
  for (auto& [start, expected] : plain) {
    const std::string where = of_mean + FormatTime(start) + "'";
    CHECK(std::stod(h.One("SELECT stats[1]" + where)) == static_cast<double>(expected.count));
    CHECK(std::stod(h.One("SELECT stats[2]" + where)) == Approx(expected.sum));
    CHECK(std::stod(h.One("SELECT stats[3]" + where)) == expected.minimum);
    CHECK(std::stod(h.One("SELECT stats[4]" + where)) == expected.maximum);
    CHECK(std::stod(h.One("SELECT stats[7]" + where)) == static_cast<double>(expected.last_ms));
  }
}

TEST_CASE("a rate and changes are kept across batches and restarts", "[D3]") {
  History h;
  const Uuid rate = Uuid::New(), change = Uuid::New();
  for (std::uint64_t i = 0; i < 20; ++i) {
    const auto time = kNoon + static_cast<std::int64_t>(i) * 1'000;
    const auto value = Number(static_cast<double>(i / 7));
    PostgresStore fresh(h.pool);
    Batch batch;
    batch.Add(ReportMaker(h.unit, i + 1)
                  .Sample(rate, time, value, Policy(common::v1::LOGGING_MODE_RATE, 0, 10))
                  .Sample(change, time, value, Policy(common::v1::LOGGING_MODE_ON_CHANGE))
                  .At(i + 1));
    REQUIRE(fresh.Apply(0, i, batch, Silent).ok());
  }
  h.at = 20;
  // One that was offline, into a stretch that has one, and into one that has none.
  h.Store(ReportMaker(h.unit, 21)
              .Sample(rate, kNoon + 3'000, Number(9), Policy(common::v1::LOGGING_MODE_RATE, 0, 10))
              .Sample(rate, kNoon - 3'000, Number(9), Policy(common::v1::LOGGING_MODE_RATE, 0, 10)));
  const auto times = [&](const Uuid& variable) {
    std::vector<std::int64_t> seconds;
    const auto rows = h.store.Readings(variable, {}, 4'000'000'000'000'000, 100).value();
    for (const auto& row : rows) seconds.push_back((row.key.time_us / 1'000 - kNoon) / 1'000);
    return seconds;
  };
  CHECK(times(rate) == std::vector<std::int64_t>{-3, 0, 10});
  CHECK(times(change) == std::vector<std::int64_t>{0, 7, 14});
  CHECK(h.store.CurrentValue(rate)->value().value.number() == 2);  // the newest value is told whatever is kept
}

TEST_CASE("roll-ups are what a plain computation says, in order, late or with windows", "[D3][D4]") {
  const auto seed = GENERATE(range(1u, 4u));
  INFO("seed " << seed);
  History h;
  std::mt19937 random(seed);
  h.RollUpFrom(kNoon);
  const std::vector<Uuid> outputs = {Uuid::New(), Uuid::New(), Uuid::New()};
  struct Sample {
    std::int64_t time;
    double value;
  };
  std::map<Uuid, std::vector<Sample>> all;
  std::int64_t now = kNoon;
  for (std::uint64_t i = 1; i <= 120; ++i) {
    now += static_cast<std::int64_t>(random() % 120) * 1'000;
    ReportMaker report(h.unit, i);
    for (auto n = random() % 20; n > 0; --n) {
      // Mostly new, sometimes very old.
      const std::int64_t time = now - (random() % 8 == 0 ? random() % 200'000'000 : random() % 30'000);
      const Uuid& output = outputs[random() % outputs.size()];
      const double value = std::normal_distribution<double>(0, 10)(random);
      report.Reading(output, time, Number(value));
      all[output].push_back({time, value});
    }
    h.Store(report);
    if (random() % 4 == 0) h.RollUp(now);
  }
  h.RollUp(now + 2 * kDayMs);
  CHECK(h.One("SELECT count(*) FROM rollup_late") == "0");
  for (const RollupLevel& level : kRollupLevels) {
    std::map<std::pair<Uuid, std::int64_t>, Plain> plain;
    for (const auto& [output, samples] : all) {
      for (const Sample& s : samples) plain[{output, StartOf(s.time, level.width_s * 1'000)}].Add(s.time, s.value);
    }
    struct Row {
      Uuid output;
      std::int64_t start, count;
      double sum, minimum, maximum, last;
    };
    const auto rows = h.pool.Query<std::vector<Row>>("test", [&](pqxx::work& tx) -> absl::StatusOr<std::vector<Row>> {
      std::vector<Row> found;
      for (const auto& row : tx.exec(std::string("SELECT variable_id, (extract(epoch FROM time) * 1000)::bigint, count,"
                                                 " sum, minimum, maximum, last FROM ") +
                                     level.table + " JOIN series ON id = series")) {
        found.push_back({*Uuid::Parse(row[0].c_str()), row[1].as<std::int64_t>(), row[2].as<std::int64_t>(),
                         row[3].as<double>(), row[4].as<double>(), row[5].as<double>(), row[6].as<double>()});
      }
      return found;
    });
    REQUIRE(rows.ok());
    CHECK(rows->size() == plain.size());
    for (const Row& row : *rows) {
      const auto expected = plain.find({row.output, row.start});
      REQUIRE(expected != plain.end());
      CHECK(row.count == expected->second.count);
      CHECK(row.sum == Approx(expected->second.sum).margin(1e-9));
      CHECK(row.minimum == expected->second.minimum);
      CHECK(row.maximum == expected->second.maximum);
      CHECK(row.last == expected->second.last);
    }
  }
}

TEST_CASE("a window counts in roll-ups with all of its readings; texts are counted only", "[D3][D4]") {
  History h;
  h.RollUpFrom(kNoon);
  const Uuid mean = Uuid::New(), text = Uuid::New();
  ReportMaker report(h.unit, 1);
  for (int i = 0; i < 4; ++i) {
    report.Sample(mean, kNoon + 1'000 * i, Number(i * i), Policy(common::v1::LOGGING_MODE_MEAN, 10));
    report.Reading(text, kNoon + i, Text("x"));
  }
  report.Reading(text, kNoon + 60'000, Number(1e308)).Reading(text, kNoon + 60'001, Number(1e308));
  h.Store(report);
  h.CloseAll();
  h.RollUp(kNoon + 2 * kDayMs);
  const auto one = [&](const Uuid& variable, const std::string& what, const std::string& table = "rollup_86400") {
    return h.One("SELECT " + what + " FROM " + table + " JOIN series ON id = series WHERE variable_id = '" +
                 variable.ToString() + "' ORDER BY time LIMIT 1");
  };
  CHECK(one(mean, "count") == "4");
  CHECK(one(mean, "rows") == "1");
  CHECK(one(mean, "sum") == "14");
  CHECK(one(mean, "maximum") == "9");
  CHECK(one(text, "count") == "6");
  CHECK(one(text, "sum", "rollup_60") == "null");
  CHECK(std::stod(one(text, "sum")) > 1e290);
}

TEST_CASE("what a variable's owner and the instance do not keep is not shown, and leaves with its table", "[D4][U8]") {
  History h;
  const std::int64_t day = kNoon / kDayMs * kDayMs;
  h.RollUpFrom(day + 40 * kDayMs);
  const Uuid brief = Uuid::New(), lasting = Uuid::New(), gone = Uuid::New(), owner = Uuid::New();
  for (std::int64_t d = 0; d < 40; ++d) {
    ReportMaker report(h.unit, static_cast<std::uint64_t>(d) + 1);
    for (int i = 0; i < 10; ++i) {
      const std::int64_t time = day + d * kDayMs + i * 3'600'000;
      report.Reading(brief, time, Number(i)).Reading(lasting, time, Number(i)).Reading(gone, time, Number(i));
    }
    h.Store(report);
  }
  const std::int64_t now = day + 40 * kDayMs;
  h.RollUp(now + 120'000);
  CHECK(h.One("SELECT count(*) FROM reading_day") == "40");
  PostgresUpkeep upkeep(h.pool, {.most_days = 30, .most_readings = 1'000'000});
  REQUIRE(h.store.End({.variables = {gone}}).ok());
  const auto of = [&](const Uuid& variable) {
    return h.store.Readings(variable, {}, 4'000'000'000'000'000, 1'000)->size();
  };
  CHECK(of(gone) == 0);  // at once

  REQUIRE(upkeep.Learn({{brief, owner, 5 * 86'400}, {lasting, owner, 0}}).ok());
  REQUIRE(upkeep.MoveCutoffs(now).ok());
  CHECK(of(brief) == 50);
  CHECK(of(lasting) == 300);
  while (upkeep.Tidy().value()) {
  }
  CHECK(of(brief) == 50);
  CHECK(of(lasting) == 300);
  CHECK(h.One("SELECT count(*) FROM reading_day") == "30");
  // Days that are not over are left alone.
  CHECK(h.One("SELECT count(*) FROM reading WHERE time < '" + FormatTime(day + 38 * kDayMs) + "'") ==
        std::to_string(28 * 10 + 3 * 10));
  CHECK(h.One("SELECT count(*) FROM reading_day WHERE sorted_at IS NOT NULL") == "29");
  // The tables are as they were: they take what comes late.
  h.Store(ReportMaker(h.unit, 41).Reading(lasting, day + 20 * kDayMs + 1, Number(7)));
  CHECK(of(lasting) == 301);
  h.RollUp(now + 240'000);
  CHECK_FALSE(upkeep.Tidy().value());

  SECTION("an owner's oldest days go when there are too many readings") {
    PostgresUpkeep narrow(h.pool, {.most_days = 3'650, .most_readings = 105});
    REQUIRE(narrow.MoveCutoffs(now).ok());
    CHECK(of(brief) == 50);
    CHECK(of(lasting) == 50);  // five days of both are 100
  }
  SECTION("months of roll-ups go too") {
    CHECK(h.One("SELECT count(*) FROM rollup_month") == "2");
    PostgresUpkeep later(h.pool, {.most_days = 1, .most_readings = 1'000'000});
    REQUIRE(later.MoveCutoffs(now + 90 * kDayMs).ok());
    h.RollUpFrom(now + 90 * kDayMs);
    while (later.Tidy().value()) {
    }
    CHECK(h.One("SELECT count(*) FROM rollup_month WHERE month < '" + FormatTime(now + 60 * kDayMs).substr(0, 10) +
                "'") == "0");
    CHECK(h.One("SELECT count(*) FROM reading") == "0");
  }
}

TEST_CASE("what is stored while roll-ups are made is in them", "[D4]") {
  History h;
  const std::int64_t begin = NowMs() / 60'000 * 60'000 - 600'000;
  h.RollUpFrom(begin);
  std::atomic<bool> done = false;
  std::thread rolling([&] {
    PostgresRollups other(h.pool);
    std::int64_t now = begin + kRollupLagMs;
    while (!done) {
      CHECK(other.Advance(now).ok());
      now += 5'000;
    }
  });
  const Uuid output = Uuid::New();
  for (std::uint64_t i = 1; i <= 300; ++i) {
    ReportMaker report(h.unit, i);
    for (int n = 0; n < 5; ++n)
      report.Reading(output, begin + static_cast<std::int64_t>(i) * 1'000 - n * 20'000, Number(1));
    h.Store(report);
  }
  done = true;
  rolling.join();
  h.RollUp(begin + 7'200'000);
  CHECK(h.One("SELECT sum(count) FROM rollup_60") == "1500");
  CHECK(h.One("SELECT sum(count) FROM rollup_900") == "1500");
}
