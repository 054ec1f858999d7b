#include "report.h"

#include <catch2/catch.hpp>

#include "answer.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/values/values.h"
#include "unit_entry.h"

using namespace pepeunit;
using namespace pepeunit::unit_ingest;
using nlohmann::json;

namespace {

constexpr std::int64_t kNow = 1'700'000'000'000;

schema::Variable Of(schema::Type type) {
  schema::Variable v;
  v.name = "v";
  v.type = type;
  return v;
}

struct World {
  Profile profile;
  Uuid display = Uuid::New(), shown = Uuid::New(), whole = Uuid::New();

  World() {
    profile.unit = Uuid::New();
    profile.version = 7;
    Output temperature{Uuid::New(), Of(schema::Type::kNumber), {}};
    temperature.targets.push_back({Uuid::New(), shown, display, Of(schema::Type::kNumber), false});
    schema::Variable bounded = Of(schema::Type::kInteger);
    bounded.maximum = 50;
    temperature.targets.push_back({Uuid::New(), whole, display, bounded, false});
    profile.outputs["temperature"] = temperature;
    Output silent{Uuid::New(), Of(schema::Type::kString), {}};
    silent.definition.logging.mode = schema::LoggingMode::kOff;
    profile.outputs["note"] = silent;
  }

  absl::StatusOr<Parsed> Parse(const std::string& text, std::size_t deliveries = 64) {
    return ParseReport(profile, text, kNow, deliveries);
  }
};

}  // namespace

TEST_CASE("a report becomes readings with their times, and deliveries of the newest", "[S2][S4][G4]") {
  World w;
  const auto parsed =
      w.Parse(R"({"unit_state": {"ip": "10.0.0.1", "commit": "0123456789012345678901234567890123456789"},
    "output_variables": [{"age_ms": 0, "values": {"temperature": 21.0, "note": "n"}}, {"age_ms": 5000, "values": {"temperature": 19.5}}],
    "future": {"key": 1}})");
  REQUIRE(parsed.ok());
  const auto& report = parsed->message.report();
  REQUIRE(report.readings_size() == 3);
  CHECK(report.received_ms() == kNow);
  CHECK(report.readings(2).time_ms() == kNow - 5000);
  CHECK(values::ToJson(report.readings(2).value()) == 19.5);
  CHECK(json::parse(report.unit_state())["ip"] == "10.0.0.1");
  CHECK(parsed->commit == "0123456789012345678901234567890123456789");
  for (const auto& reading : report.readings()) {
    CHECK(reading.unlogged() == (reading.variable_id() == w.profile.outputs["note"].id.ToBytes()));
  }
  // Both links carry the newest reading, not the last in the list; the second as an integer.
  REQUIRE(report.deliveries_size() == 2);
  CHECK(report.deliveries(0).input_id() == w.shown.ToBytes());
  CHECK(report.deliveries(0).unit_id() == w.display.ToBytes());
  CHECK(report.deliveries(0).output_id() == w.profile.outputs["temperature"].id.ToBytes());
  CHECK(report.profile_version() == 7);
  CHECK(values::ToJson(report.deliveries(0).value()) == 21);
  CHECK(report.deliveries(0).time_ms() == kNow);
}

TEST_CASE("what a link cannot carry is left out, and the fan-out is bounded", "[G4][G5]") {
  World w;
  const auto broken = w.Parse(R"({"output_variables": [{"values": {"temperature": 20.5}}]})");
  REQUIRE(broken.ok());
  CHECK(broken->message.report().deliveries_size() == 1);  // 20.5 is no integer
  REQUIRE(broken->refusals.size() == 1);
  CHECK(broken->refusals[0].unfit() == 1);
  CHECK(broken->refusals[0].input_id() == w.whole.ToBytes());
  CHECK(broken->refusals[0].output_id() == w.profile.outputs["temperature"].id.ToBytes());
  const auto high = w.Parse(R"({"output_variables": [{"values": {"temperature": 51}}]})");
  CHECK(high->message.report().deliveries_size() == 1);  // beyond the input's bound
  const auto capped = w.Parse(R"({"output_variables": [{"values": {"temperature": 20}}]})", 1);
  CHECK(capped->message.report().deliveries_size() == 1);
  REQUIRE(capped->refusals.size() == 1);
  CHECK(capped->refusals[0].unfit() == 0);
  CHECK(capped->refusals[0].beyond_fan_out() == 1);
}

TEST_CASE("links of others carry after those of the unit's owner, whichever output they leave", "[G5]") {
  World w;
  Output first{Uuid::New(), Of(schema::Type::kNumber), {}};
  for (int i = 0; i < 70; ++i)
    first.targets.push_back({Uuid::New(), Uuid::New(), Uuid::New(), Of(schema::Type::kNumber), true});
  w.profile.outputs["count"] = first;
  const auto report = w.Parse(R"({"output_variables": [{"values": {"count": 1, "temperature": 21}}]})");
  REQUIRE(report.ok());
  REQUIRE(report->message.report().deliveries_size() == 64);
  CHECK(report->message.report().deliveries(0).input_id() == w.shown.ToBytes());
  CHECK(report->message.report().deliveries(1).input_id() == w.whole.ToBytes());
  CHECK(report->refusals.size() == 8);
}

TEST_CASE("an empty report is a report: it says that the device lives", "[S2]") {
  World w;
  const auto parsed = w.Parse("{}");
  REQUIRE(parsed.ok());
  CHECK(parsed->message.report().readings_size() == 0);
  CHECK(parsed->max_answer == kMaxAnswerBytes);
  CHECK(w.Parse(R"({"max_answer_bytes": 65536})")->max_answer == 65'536);
}

TEST_CASE("each fault names its field, several at once", "[S2][S4]") {
  World w;
  const std::pair<std::string, std::vector<std::string>> cases[] = {
      {"", {"body"}},
      {"[]", {"body"}},
      {"{\"a\":\xff}", {"body"}},
      {std::string(21, '[') + std::string(21, ']'), {"body"}},
      {R"({"unit_state": 1})", {"unit_state"}},
      {R"({"unit_state": {"x": ")" + std::string(3000, 'y') + "\"}}", {"unit_state"}},
      {R"({"output_variables": {}})", {"output_variables"}},
      {R"({"output_variables": [1]})", {"output_variables[0]"}},
      {R"({"output_variables": [{}]})", {"output_variables[0].values"}},
      {R"({"output_variables": [{"age_ms": "1", "values": {}}]})", {"output_variables[0].age_ms"}},
      {R"({"output_variables": [{"age_ms": 2592000001, "values": {}}]})", {"output_variables[0].age_ms"}},
      {R"({"output_variables": [{"values": {"a": 1, "temperature": "x"}}, {"values": {"note": 5}}]})",
       {"output_variables[0].values.a", "output_variables[0].values.temperature", "output_variables[1].values.note"}},
      {R"({"output_variables": [{"values": {"temperature": 1e400}}]})", {"body"}},
      {R"({"max_answer_bytes": 10})", {"max_answer_bytes"}},
  };
  for (const auto& [text, fields] : cases) {
    INFO(text.substr(0, 80));
    const auto parsed = w.Parse(text);
    REQUIRE_FALSE(parsed.ok());
    std::vector<std::string> named;
    for (const auto& v : InfoOf(parsed.status()).violations) named.push_back(v.field);
    CHECK(named == fields);
    CHECK(json::parse(InvalidAnswer(parsed.status()))["error"] == "invalid");
  }
}

TEST_CASE("answers fit what the device can hold", "[S1][S3]") {
  Profile profile;
  std::vector<std::string> texts;
  for (int i = 0; i < 200; ++i) {
    profile.inputs.push_back({Uuid::New(), "input_" + std::to_string(i), nullptr});
    texts.push_back("\"" + std::string(30, 'x') + "\"");
  }
  profile.target_commit = "abc";
  AnswerFacts facts{.now_ms = kNow, .next = 7, .offer_update = true, .max_bytes = 1000, .pushes = {}};
  const std::string answer = GoodAnswer(profile, texts, facts);
  CHECK(answer.size() <= 1000);
  const auto parsed = json::parse(answer);
  CHECK(parsed["next"] == 7);
  CHECK(parsed["truncated"] == true);
  CHECK(parsed["update"]["commit"] == "abc");
  CHECK(parsed["world_state"]["unix_ms"] == kNow);
  CHECK(parsed["world_state"]["utc"] == "2023-11-14T22:13:20.000Z");
  facts.max_bytes = 65'536;
  facts.next = 0;
  facts.offer_update = false;
  const auto whole = json::parse(GoodAnswer(profile, texts, facts));
  CHECK(whole["input_variables"].size() == 200);
  CHECK_FALSE(whole.contains("truncated"));
  CHECK_FALSE(whole.contains("next"));
  CHECK_FALSE(whole.contains("update"));
}

TEST_CASE("a bucket lets its burst pass, then its rate") {
  RateLimiter limiter(10, 3);
  for (int i = 0; i < 3; ++i) CHECK(limiter.Take(1'000) == 0);
  CHECK(limiter.Take(1'000) == 100);
  CHECK(limiter.Take(1'050) == 50);
  CHECK(limiter.Take(1'100) == 0);
  CHECK(limiter.Take(9'000) == 0);
}

TEST_CASE("what did not go on its way is told link by link, a bounded number in each report", "[G5]") {
  UnitEntry entry({1, 1}, {1, 1});
  std::vector<bus::v1::LinkRefusals> refusals(100);
  for (auto& refusal : refusals) {
    refusal.set_link_id(Uuid::New().ToBytes());
    refusal.set_unfit(1);
  }
  entry.CountRefusals(refusals);
  for (auto& refusal : refusals) {
    refusal.clear_unfit();
    refusal.set_beyond_fan_out(2);
  }
  entry.CountRefusals(refusals);
  std::size_t told = 0;
  for (const int expected : {64, 36, 0}) {
    bus::v1::Report report;
    entry.TellRefusals(&report);
    REQUIRE(report.refusals_size() == expected);
    for (const auto& refusal : report.refusals()) told += refusal.unfit() == 1 && refusal.beyond_fan_out() == 2;
  }
  CHECK(told == 100);
}

TEST_CASE("exchanges of a unit take turns, and too many are sent away") {
  UnitEntry entry({1, 1}, {1, 1});
  std::vector<int> order;
  CHECK(entry.TakeTurn([&] { order.push_back(0); }));
  for (int i = 1; i <= 4; ++i) CHECK(entry.TakeTurn([&, i] { order.push_back(i); }));
  CHECK_FALSE(entry.TakeTurn([&] { order.push_back(5); }));
  CHECK(order == std::vector<int>{0});
  for (int i = 0; i < 5; ++i) entry.EndTurn();
  CHECK(order == std::vector<int>{0, 1, 2, 3, 4});
  CHECK(entry.TakeTurn([&] { order.push_back(6); }));
}

TEST_CASE("what changes during a load is not lost", "[S3]") {
  UnitEntry entry({1, 1}, {1, 1});
  Profile shape;
  const Uuid input = Uuid::New();
  shape.inputs.push_back({input, "target", json(20)});
  const auto loaded = [&](std::uint64_t sequence, const json& value) {
    return Loaded{std::make_shared<const Profile>(shape), {}, {{input, {value, sequence}}}};
  };
  std::uint64_t epoch = entry.BeginLoad();
  entry.Invalidate();
  CHECK_FALSE(entry.FinishLoad(epoch, loaded(5, 1)));  // the unit changed meanwhile
  CHECK(entry.profile() == nullptr);
  epoch = entry.BeginLoad();
  entry.ApplyInput(input, {json(2), 9});
  CHECK(entry.FinishLoad(epoch, loaded(5, 1)));
  CHECK(entry.InputTexts(shape) == std::vector<std::string>{"2"});  // the event was newer than what was loaded
  entry.ApplyInput(input, {json(3), 8});
  CHECK(entry.InputTexts(shape) == std::vector<std::string>{"2"});
  entry.ApplyInput(input, {json(4), 10});
  CHECK(entry.InputTexts(shape) == std::vector<std::string>{"4"});
  UnitEntry fresh({1, 1}, {1, 1});
  CHECK(fresh.InputTexts(shape) == std::vector<std::string>{"20"});  // never written: its default
}
