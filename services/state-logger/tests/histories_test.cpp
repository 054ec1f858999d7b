#include "histories.h"

#include <cmath>
#include <random>

#include "csv_import.h"
#include "fixture.h"
#include "pepeunit/base/clock.h"
#include "pepeunit/base/errors.h"
#include "postgres_history.h"
#include "postgres_rollups.h"

using namespace pepeunit;
using namespace pepeunit::state_logger;

namespace {

constexpr std::int64_t kHour = 3'600'000, kDayOne = 1'700'000'000'000 / 86'400'000 * 86'400'000;

std::vector<std::string> FieldsOf(const absl::Status& status) {
  std::vector<std::string> fields;
  for (const auto& violation : InfoOf(status).violations) fields.push_back(violation.field);
  return fields;
}

log::v1::QueryHistoryRequest Ask(const std::function<void(log::v1::QueryHistoryRequest&)>& fill) {
  log::v1::QueryHistoryRequest request;
  fill(request);
  return request;
}

// Everything is open, and what is found is what was put in.
struct Open final : Rights {
  graph::v1::FindOutputsResponse outputs;
  common::v1::ValueType type = common::v1::VALUE_TYPE_NUMBER;

  Uuid Add(const std::string& name) {
    auto* output = outputs.add_outputs();
    const Uuid id = Uuid::New();
    output->mutable_variable()->set_id(id.ToString());
    output->mutable_variable()->set_name(name);
    output->mutable_variable()->set_type(type);
    output->set_unit_name("the \"unit\"");
    std::sort(outputs.mutable_outputs()->begin(), outputs.mutable_outputs()->end(),
              [](const auto& a, const auto& b) { return a.variable().id() < b.variable().id(); });
    return id;
  }
  absl::StatusOr<graph::v1::AuthorizeResponse> Authorize(const rpc::Caller& caller, const std::string& node,
                                                         graph::v1::Permission permission) override {
    if (permission == graph::v1::PERMISSION_OWN && !caller.signed_in()) return Forbidden("no");
    graph::v1::AuthorizeResponse response;
    for (const auto& output : outputs.outputs()) {
      if (output.variable().id() == node) *response.mutable_variable() = output.variable();
    }
    response.mutable_variable()->set_kind(graph::v1::VARIABLE_KIND_OUTPUT);
    response.set_unit_id(Uuid::New().ToString());
    return response;
  }
  absl::Status MaySeeLink(const rpc::Caller&, const std::string&) override { return absl::OkStatus(); }
  absl::StatusOr<graph::v1::FindOutputsResponse> FindOutputs(const rpc::Caller&,
                                                             const graph::v1::FindOutputsRequest& filter) override {
    graph::v1::FindOutputsResponse found;
    for (const auto& output : outputs.outputs()) {
      const auto& ids = filter.variable_ids();
      if (ids.empty() || std::find(ids.begin(), ids.end(), output.variable().id()) != ids.end())
        *found.add_outputs() = output;
    }
    return found;
  }
};

struct Asked : Tables {
  Open rights;
  PostgresHistory history{pool};
  PostgresRollups rollups{pool};
  Histories histories{history, rights};
  std::uint64_t at = 0;

  Asked() {
    REQUIRE(
        store
            .Resume(0,
                    Now({.messages = 0, .bytes = 0, .first_sequence = 1, .last_sequence = 1'000'000, .created_ns = 1}))
            .ok());
    const std::string start = "to_timestamp(" + std::to_string(kDayOne / 1'000) + ")";
    REQUIRE(Exec("UPDATE rollup_mark SET done = " + start + ", pending = " + start).ok());
  }
  void Store(const std::function<void(ReportMaker&)>& fill) {
    ReportMaker report(Uuid::New(), 1);
    fill(report);
    Batch batch;
    batch.Add(report.At(at + 1));
    REQUIRE(store.Apply(0, at, batch, [](const Batch&) { return absl::OkStatus(); }).ok());
    ++at;
  }
  void RollUp(std::int64_t now_ms) {
    while (rollups.Advance(now_ms).value()) {
    }
  }
  absl::StatusOr<std::string> Text(log::v1::QueryHistoryRequest request) {
    if (request.variable_ids().empty()) request.add_names("any");
    if (request.from().empty()) request.set_from(std::to_string(kDayOne / 1'000));
    if (request.to().empty()) request.set_to(std::to_string(kDayOne / 1'000 + 40 * 86'400));
    std::string text;
    const absl::Status status = histories.Query({}, request, [&](const common::v1::FileChunk& chunk) {
      CHECK(chunk.data().size() <= 64 << 10);
      text += chunk.data();
      return true;
    });
    if (!status.ok()) return status;
    return text;
  }
  nlohmann::json Json(const log::v1::QueryHistoryRequest& request) {
    const auto text = Text(request);
    REQUIRE(text.ok());
    return nlohmann::json::parse(*text);
  }
};

}  // namespace

TEST_CASE("times and durations in the forms that people write", "[D1]") {
  const std::int64_t now = kDayOne;
  CHECK(ReadTimeUs("2023-11-14T00:00:00Z", now) == kDayOne * 1'000);
  CHECK(ReadTimeUs("2023-11-14T01:00:00.25+01:00", now) == kDayOne * 1'000 + 250'000);
  CHECK(ReadTimeUs(std::to_string(kDayOne / 1'000), now) == kDayOne * 1'000);
  CHECK(ReadTimeUs("1.5", now) == 1'500'000);
  CHECK(ReadTimeUs("now", now) == kDayOne * 1'000);
  CHECK(ReadTimeUs("-24h", now) == (kDayOne - 24 * kHour) * 1'000);
  CHECK(ReadTimeUs("now-7d", now) == (kDayOne - 168 * kHour) * 1'000);
  for (const char* wrong : {"", "yesterday", "-", "-1y", "now+1h", "1e300", "nan", "inf", "-999999w",
                            "2200-01-01T00:00:00Z", "2023-13-01T00:00:00Z", "99999999999999999999"})
    CHECK_FALSE(ReadTimeUs(wrong, now));
  CHECK(ReadDurationMs("90") == 90'000);
  CHECK(ReadDurationMs("15m") == 900'000);
  for (const char* wrong : {"", "m", "-5", "1.5h", "5mm", "99999999999999999999", "9999999w"})
    CHECK_FALSE(ReadDurationMs(wrong));
}

TEST_CASE("a request for histories is refused by its fields", "[D1]") {
  const auto plan = [](const std::function<void(log::v1::QueryHistoryRequest&)>& fill) {
    return FieldsOf(PlanHistory(Ask(fill), kDayOne).status());
  };
  using Fields = std::vector<std::string>;
  CHECK(plan([](auto& q) { q.set_from("then"); }) == Fields{"from"});
  CHECK(plan([](auto& q) { q.set_from("-1h"), q.set_to("-2h"); }) == Fields{"from"});
  CHECK(plan([](auto& q) { q.set_step("90s"); }) == Fields{"step"});
  CHECK(plan([](auto& q) { q.set_step("1s"), q.set_from("-30d"); }) == Fields{"step"});
  CHECK(plan([](auto& q) { q.set_step("0"); }) == Fields{"step"});
  CHECK(plan([](auto& q) { q.set_step("1m"), q.set_points(5); }) == Fields{"step"});
  CHECK(plan([](auto& q) { q.set_points(2); }) == Fields{"points"});
  CHECK(plan([](auto& q) { q.set_points(-1); }) == Fields{"points"});
  CHECK(plan([](auto& q) { q.set_gap("x"); }) == Fields{"gap"});
  CHECK(plan([](auto& q) { q.set_limit(-1); }).front() == "limit");
  CHECK(plan([](auto& q) { q.set_limit(5), q.set_format(log::v1::HISTORY_FORMAT_CSV); }) == Fields{"limit"});
  CHECK(plan([](auto& q) { q.set_limit(5), q.set_step("1m"); }) == Fields{"limit"});
  CHECK(plan([](auto& q) { q.set_cursor("!"); }) == Fields{"cursor"});
  CHECK(plan([](auto& q) { q.add_columns(log::v1::HISTORY_COLUMN_UNSPECIFIED); }) == Fields{"columns"});
  CHECK(plan([](auto& q) {
          q.add_columns(log::v1::HISTORY_COLUMN_SUM);
          q.add_columns(log::v1::HISTORY_COLUMN_SUM);
        }) == Fields{"columns"});
  CHECK(PlanHistory(Ask([](auto& q) { q.set_step("1h"), q.set_from("-90m"); }), kDayOne + 1)->from_us ==
        (kDayOne - 2 * kHour) * 1'000);
}

TEST_CASE("largest triangles keep the ends and what stands out", "[D4]") {
  std::vector<PlotPoint> points;
  for (int i = 0; i < 10'000; ++i) points.push_back({i * 1'000'000LL, std::sin(i / 500.0)});
  points[3'333].value = 50;
  points[7'777].value = -50;
  const auto chosen = LargestTriangles(points, 100);
  REQUIRE(chosen.size() == 100);
  CHECK(chosen.front() == points.front());
  CHECK(chosen.back() == points.back());
  CHECK(std::is_sorted(chosen.begin(), chosen.end(), [](auto& a, auto& b) { return a.time_us < b.time_us; }));
  for (const std::size_t peak : {3'333, 7'777})
    CHECK(std::find(chosen.begin(), chosen.end(), points[peak]) != chosen.end());
  CHECK(LargestTriangles(points, 10'000) == points);
  CHECK(LargestTriangles({}, 3).empty());
  for (std::size_t count = 3; count < 40; ++count) {  // every division into buckets
    const std::vector<PlotPoint> few(points.begin(), points.begin() + 41);
    CHECK(LargestTriangles(few, count).size() == count);
  }
}

TEST_CASE("histories come as JSON, NDJSON and CSV, as they were kept", "[D1]") {
  Asked a;
  a.rights.type = common::v1::VALUE_TYPE_STRING;
  const Uuid text = a.rights.Add("text");
  a.Store([&](ReportMaker& r) {
    r.Reading(text, kDayOne + 1, Text("a,\"b\"\nc"))
        .Reading(text, kDayOne + 2, Text(""))
        .Reading(text, kDayOne + kHour, Text("é"));
  });
  const auto json = a.Json(Ask([](auto& q) { q.set_gap("1m"); }));
  CHECK(json["columns"] == nlohmann::json({"time", "value"}));
  REQUIRE(json["series"].size() == 1);
  CHECK(json["series"][0]["unit_name"] == "the \"unit\"");
  CHECK(json["series"][0]["value_type"] == "string");
  CHECK(json["series"][0]["points"] == nlohmann::json::parse(R"([["2023-11-14T00:00:00.001Z", "a,\"b\"\nc"],
      ["2023-11-14T00:00:00.002Z", ""], ["2023-11-14T00:00:00.003Z", null], ["2023-11-14T01:00:00.000Z", "é"]])"));
  CHECK(*a.Text(Ask([](auto& q) { q.set_format(log::v1::HISTORY_FORMAT_CSV); })) ==
        "variable_id,name,time,value\r\n" + text.ToString() + ",text,2023-11-14T00:00:00.001Z,\"a,\"\"b\"\"\nc\"\r\n" +
            text.ToString() + ",text,2023-11-14T00:00:00.002Z,\"\"\r\n" + text.ToString() +
            ",text,2023-11-14T01:00:00.000Z,\"é\"\r\n");
  const auto lines = *a.Text(Ask([](auto& q) {
    q.set_format(log::v1::HISTORY_FORMAT_NDJSON);
    q.set_times(log::v1::HISTORY_TIMES_UNIX_MS);
    q.set_limit(1);
  }));
  CHECK(nlohmann::json::parse(lines.substr(0, lines.find('\n'))) ==
        nlohmann::json(
            {{"variable_id", text.ToString()}, {"name", "text"}, {"time", kDayOne + 1}, {"value", "a,\"b\"\nc"}}));
  CHECK(nlohmann::json::parse(lines.substr(lines.find('\n')))["next_cursor"].get<std::string>().size() > 20);
}

TEST_CASE("pages of several histories follow one another, each reading once", "[D1]") {
  Asked a;
  std::map<std::string, int> want, seen;
  for (int v = 0; v < 3; ++v) {
    const Uuid id = a.rights.Add("v" + std::to_string(v));
    a.Store([&](ReportMaker& r) {
      for (int i = 0; i < 7; ++i) r.Reading(id, kDayOne + i / 3, Number(i));
    });
    for (int i = 0; i < 7; ++i) ++want[id.ToString() + " " + std::to_string(i)];
  }
  std::string cursor;
  int pages = 0;
  do {
    const auto page = a.Json(Ask([&](auto& q) { q.set_limit(4), q.set_cursor(cursor); }));
    for (const auto& series : page["series"]) {
      for (const auto& point : series["points"])
        ++seen[series["variable_id"].get<std::string>() + " " + std::to_string(point[1].get<int>())];
    }
    cursor = page["next_cursor"];
    ++pages;
  } while (!cursor.empty() && pages < 100);
  CHECK(seen == want);
  CHECK(pages == 6);
}

TEST_CASE("steps are what a plain computation says, from roll-ups and readings alike", "[D1][D4]") {
  Asked a;
  const Uuid number = a.rights.Add("number");
  std::mt19937 random(3);
  std::map<std::int64_t, std::vector<double>> plain;
  const std::int64_t step = GENERATE(10'000, 60'000, 120'000, 900'000, 2'700'000, 86'400'000);
  for (int batch = 0; batch < 20; ++batch) {
    a.Store([&](ReportMaker& r) {
      for (int i = 0; i < 50; ++i) {
        const std::int64_t time = kDayOne + random() % (50 * kHour);
        const double value = static_cast<double>(random() % 1'000) / 8;
        r.Reading(number, time, Number(value));
        if (time / step * step >= kDayOne) plain[time / step * step].push_back(value);
      }
    });
    if (batch % 7 == 3) a.RollUp(kDayOne + batch * 3 * kHour);
  }
  a.RollUp(kDayOne + 49 * kHour);  // what is left is read from where it is
  const auto json = a.Json(Ask([&](auto& q) {
    q.set_step(std::to_string(step / 1'000));
    q.set_to(std::to_string(kDayOne / 1'000 + 3 * 86'400));
    q.set_gap("0");
    q.set_times(log::v1::HISTORY_TIMES_UNIX_MS);
  }));
  const auto& points = json["series"][0]["points"];
  REQUIRE(points.size() == plain.size());
  auto at = points.begin();
  for (const auto& [start, values] : plain) {
    const auto& point = *at++;
    double sum = 0;
    for (const double value : values) sum += value;
    CHECK(point[0] == start);
    CHECK(point[1].get<double>() == Approx(sum / static_cast<double>(values.size())));
    CHECK(point[2] == *std::min_element(values.begin(), values.end()));
    CHECK(point[3] == *std::max_element(values.begin(), values.end()));
    CHECK(point[4].get<double>() == Approx(sum));
    CHECK(point[6] == values.size());
  }
}

TEST_CASE("a gap between steps is a point of nulls", "[D1]") {
  Asked a;
  const Uuid number = a.rights.Add("number");
  a.Store([&](ReportMaker& r) {
    for (const int minute : {0, 1, 5}) r.Reading(number, kDayOne + minute * 60'000, Number(minute));
  });
  const auto json = a.Json(Ask([](auto& q) {
    q.set_step("1m");
    q.add_columns(log::v1::HISTORY_COLUMN_VALUE);
    q.add_columns(log::v1::HISTORY_COLUMN_COUNT);
    q.set_times(log::v1::HISTORY_TIMES_UNIX_MS);
  }));
  CHECK(json["series"][0]["points"] == nlohmann::json({{kDayOne, 0, 1},
                                                       {kDayOne + 60'000, 1, 1},
                                                       {kDayOne + 120'000, nullptr, nullptr},
                                                       {kDayOne + 300'000, 5, 1}}));
}

TEST_CASE("few points keep the shape of many, and every extreme of it", "[D4]") {
  Asked a;
  const Uuid number = a.rights.Add("number");
  const int rows = 30 * 24 * 60;
  REQUIRE(a.Exec("INSERT INTO series (variable_id, unit_id) VALUES ('" + number.ToString() + "', '" +
                 Uuid::New().ToString() + "')")
              .ok());
  PostgresSeries days(a.pool);
  std::set<std::int64_t> wanted;
  for (std::int64_t day = 0; day < 31; ++day) wanted.insert(kDayOne / kDayMs + day);
  REQUIRE(days.EnsureDays(wanted).ok());
  REQUIRE(a.Exec("INSERT INTO reading (time, stream_seq, number, series, ord, kind) SELECT to_timestamp(" +
                 std::to_string(kDayOne / 1'000) +
                 " + 60 * i), 1, CASE i WHEN 12345 THEN 99 WHEN 33333 THEN -99 ELSE sin(i / 700.0) END, 1, 0, 1"
                 " FROM generate_series(0, " +
                 std::to_string(rows - 1) + ") AS i WHERE i NOT BETWEEN 20000 AND 22000")
              .ok());
  const bool rolled_up = GENERATE(true, false);
  if (rolled_up) a.RollUp(kDayOne + 29 * kDayMs);
  const auto json = a.Json(Ask([](auto& q) {
    q.set_points(1'000);
    q.set_to(std::to_string(kDayOne / 1'000 + 30 * 86'400));
    q.set_times(log::v1::HISTORY_TIMES_UNIX_MS);
  }));
  const auto& points = json["series"][0]["points"];
  CHECK(points.size() == 1'001);  // with the gap
  int peaks = 0, gaps = 0;
  std::int64_t before = 0;
  for (const auto& point : points) {
    CHECK(point[0].get<std::int64_t>() > before);
    before = point[0];
    if (point[1].is_null()) {
      ++gaps;
    } else if (std::fabs(point[1].get<double>()) == 99) {
      ++peaks;
      CHECK(point[0] == kDayOne + (point[1] == 99 ? 12'345 : 33'333) * 60'000);
    }
  }
  CHECK(peaks == 2);
  CHECK(gaps == 1);
}

TEST_CASE("the newest values alone", "[D1]") {
  Asked a;
  const Uuid number = a.rights.Add("number");
  a.rights.Add("silent");
  a.Store([&](ReportMaker& r) { r.Reading(number, kDayOne, Number(1)).Reading(number, kDayOne + 5, Number(2), true); });
  const auto json = a.Json(Ask([](auto& q) { q.set_latest(true), q.set_times(log::v1::HISTORY_TIMES_UNIX_MS); }));
  REQUIRE(json["series"].size() == 2);
  for (const auto& series : json["series"]) {
    CHECK(series["points"] ==
          (series["name"] == "number" ? nlohmann::json({{kDayOne + 5, 2}}) : nlohmann::json::array()));
  }
}

TEST_CASE("more than a million points in all is refused before anything is read", "[D1]") {
  Asked a;
  for (int i = 0; i < 20; ++i) a.rights.Add("v");
  CHECK(FieldsOf(a.Text(Ask([](auto& q) { q.set_points(60'000); })).status()) == std::vector<std::string>{"points"});
}

TEST_CASE("a caller who goes away ends the answer", "[D1]") {
  Asked a;
  const Uuid number = a.rights.Add("number");
  for (int n = 0; n < 4; ++n) {
    a.Store([&](ReportMaker& r) {
      for (int i = 0; i < 3'000; ++i) r.Reading(number, kDayOne + i, Number(i));
    });
  }
  int pieces = 0;
  auto request = Ask([](auto& q) { q.add_names("x"), q.set_from(std::to_string(kDayOne / 1'000)); });
  CHECK(a.histories.Query({}, request, [&](const common::v1::FileChunk&) { return ++pieces < 2; }).code() ==
        absl::StatusCode::kCancelled);
  CHECK(pieces == 2);
}

TEST_CASE("CSV goes in, line by line, and the same again changes nothing", "[D4]") {
  Asked a;
  const Uuid number = a.rights.Add("number");
  log::v1::ImportReadingsRequest request;
  request.set_variable_id(number.ToString());
  request.set_csv(
      "name,time,value\r\nx,2023-11-14T00:00:00Z,1.5\r\nx,1699920001,2\n\nx,1699920001,3\nx,2023-11-14,4\nx,1,abc\n"
      "x,2099-01-01T00:00:00Z,1\nonly,two\n\"x\",\"1699920002.5\",\"-1e3\"\nx,-1h,1\nx,5,1e999\n");
  log::v1::ImportReadingsResponse first, again, anonymous;
  CHECK_FALSE(a.histories.Import({}, request, anonymous).ok());
  const rpc::Caller owner{.kind = rpc::Caller::Kind::kUser};
  REQUIRE(a.histories.Import(owner, request, first).ok());
  CHECK(first.lines() == 10);
  CHECK(first.imported() == 3);
  CHECK(first.known() == 1);
  CHECK(first.refused() == 6);
  std::vector<std::int64_t> lines;
  for (const auto& refusal : first.refusals()) lines.push_back(refusal.line());
  CHECK(lines == std::vector<std::int64_t>{6, 7, 8, 9, 11, 12});
  REQUIRE(a.histories.Import(owner, request, again).ok());
  CHECK(again.imported() == 0);
  CHECK(again.known() == 4);
  const auto json = a.Json(Ask([](auto& q) { q.set_times(log::v1::HISTORY_TIMES_UNIX_MS); }));
  CHECK(json["series"][0]["points"] ==
        nlohmann::json({{1'699'920'000'000, 1.5}, {1'699'920'001'000, 2}, {1'699'920'002'500, -1'000}}));
  a.RollUp(kDayOne + 2 * 86'400'000);
  CHECK(a.One("SELECT sum(count) FROM rollup_86400") == "3");
}

TEST_CASE("what goes out as CSV comes in again", "[D4]") {
  Asked a;
  a.rights.type = GENERATE(common::v1::VALUE_TYPE_STRING, common::v1::VALUE_TYPE_JSON);
  const Uuid from = a.rights.Add("from"), to = a.rights.Add("to");
  a.Store([&](ReportMaker& r) {
    for (const char* text : {"", "a", "\"", "a,b\r\n\"c\"", "é😀", " x ", "null"}) {
      bus::v1::Scalar value;
      if (a.rights.type == common::v1::VALUE_TYPE_JSON) {
        value.set_json(nlohmann::json({{"t", text}}).dump());
      } else {
        value.set_text(text);
      }
      r.Reading(from, kDayOne + r.report.readings_size(), value);
    }
  });
  log::v1::ImportReadingsRequest request;
  request.set_variable_id(to.ToString());
  request.set_csv(*a.Text(Ask([&](auto& q) {
    q.set_format(log::v1::HISTORY_FORMAT_CSV);
    q.add_variable_ids(from.ToString());
  })));
  log::v1::ImportReadingsResponse report;
  REQUIRE(a.histories.Import({.kind = rpc::Caller::Kind::kUser}, request, report).ok());
  CHECK(report.imported() == 7);
  CHECK(report.refused() == 0);
  const auto points = [&](const Uuid& id) {
    return a.Json(Ask([&](auto& q) { q.add_variable_ids(id.ToString()); }))["series"][0]["points"];
  };
  CHECK(points(from) == points(to));
}

TEST_CASE("CSV that is broken loses a line, not the rest", "[D4]") {
  schema::Variable number;
  number.name = "n";
  const auto read = ReadCsv("time,value\n1,\"2\n3,4\n5,6\"x\n" + std::string(9'000, '7') + ",1\n8,9", number, kDayOne);
  REQUIRE(read.ok());
  REQUIRE(read->readings.size() == 1);
  CHECK(read->readings[0].time_us == 8'000'000);
  CHECK(read->refused == 2);
  // A quote that never ends ends with its line.
  const auto open = ReadCsv("time,value\n1,\"2\n3,4\n", number, kDayOne);
  REQUIRE(open->readings.size() == 1);
  CHECK(open->readings[0].time_us == 3'000'000);
  CHECK(open->refusals == std::vector<std::pair<std::int64_t, std::string>>{{2, "a quote has no end"}});
  for (const char* header : {"", "\n", "time\n1,2", "a,b\n1,2", "\"time,value\n1,2", "time,value\xff\n1,2"})
    CHECK(FieldsOf(ReadCsv(header, number, kDayOne).status()) == std::vector<std::string>{"csv"});
  CHECK(ReadCsv("\xef\xbb\xbfvalue,time\n1,2", number, kDayOne)->readings.size() == 1);
}
