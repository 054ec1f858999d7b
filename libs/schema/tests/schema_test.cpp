#include "pepeunit/schema/schema.h"

#include <catch2/catch.hpp>

using namespace pepeunit;

namespace {

const schema::Problem* Find(const std::vector<schema::Problem>& problems, const std::string& field) {
  for (const auto& p : problems) {
    if (p.field == field) return &p;
  }
  return nullptr;
}

}  // namespace

TEST_CASE("the full form", "[S1][S2][S3][S4]") {
  const auto result = schema::ParseSchema(R"({
    "world_state": ["utc"],
    "unit_state": {"ip": {"type": "string"}},
    "input_variables": {
      "target": {"type": "number", "unit": "°C", "minimum": 5, "maximum": 30, "default": 21, "writable_by": ["people"]},
      "mode": {"type": "string", "choices": ["auto", "off"], "default": "auto"}
    },
    "output_variables": {
      "temperature": {"type": "number", "unit": "°C", "description": "measured", "logging": "direct"},
      "raw": {"type": "json", "logging": "off"}
    },
    "my_own": {"anything": 1}
  })");
  REQUIRE(result.ok());
  REQUIRE(result.problems.size() == 1);
  CHECK(result.problems[0].warning);
  CHECK(result.problems[0].field == "my_own");
  const auto& s = result.schema;
  CHECK(s.world_state == std::vector<std::string>{"utc"});
  REQUIRE(s.inputs.size() == 2);
  CHECK(s.inputs[0].people_may_write);
  CHECK_FALSE(s.inputs[0].links_may_write);
  CHECK(s.inputs[0].maximum == 30);
  CHECK(s.inputs[1].links_may_write);
  CHECK(s.outputs[1].logging.mode == schema::LoggingMode::kOff);
  CHECK(s.outputs[0].logging.mode == schema::LoggingMode::kDirect);
}

TEST_CASE("the short form is a list of names", "[S3][S4]") {
  const auto result = schema::ParseSchema(R"({"input_variables": ["led"], "output_variables": ["a", "b"]})");
  REQUIRE(result.ok());
  CHECK(result.schema.outputs[1].name == "b");
  CHECK(result.schema.outputs[1].type == schema::Type::kNumber);
}

TEST_CASE("problems name line and field, all at once", "[R3]") {
  const auto result = schema::ParseSchema(R"({
  "input_variables": {
    "1st": {},
    "level": {"type": "float"},
    "led": {"type": "boolean", "minimum": 0},
    "mode": {"type": "string", "choices": ["a", 1], "default": "c", "logging": "off"}
  },
  "output_variables": {
    "t": {
      "minimum": 3,
      "maximum": 2
    },
    "led": {"writable_by": []}
  }
})");
  CHECK_FALSE(result.ok());
  const std::pair<const char*, unsigned> expected[] = {{"input_variables.1st", 3},
                                                       {"input_variables.level.type", 4},
                                                       {"input_variables.led.minimum", 5},
                                                       {"input_variables.mode.default", 6},
                                                       {"input_variables.mode.choices[1]", 6},
                                                       {"input_variables.mode.logging", 6},
                                                       {"output_variables.t.minimum", 10},
                                                       {"output_variables.led.writable_by", 13},
                                                       {"output_variables.led", 13}};
  for (const auto& [field, line] : expected) {
    INFO(field);
    const auto* problem = Find(result.problems, field);
    REQUIRE(problem != nullptr);
    CHECK(problem->file == "schema.json");
    CHECK(problem->line == line);
    CHECK_FALSE(problem->warning);
  }
}

TEST_CASE("what is not a JSON object is told with its line", "[R3]") {
  const auto cut = schema::ParseSchema("{\n\"output_variables\": [\n\"a\",\n");
  REQUIRE(cut.problems.size() == 1);
  CHECK(cut.problems[0].line == 4);
  CHECK(cut.problems[0].message.find("not JSON") != std::string::npos);
  CHECK(schema::ParseSchema("[]").problems[0].message.find("object") != std::string::npos);
  CHECK_FALSE(schema::ParseSchema("").ok());
  CHECK_FALSE(schema::ParseSchema("{\"output_variables\": [\"\xff\"]}").ok());
  CHECK_FALSE(schema::ParseSchema(std::string(300'000, ' ')).ok());
  CHECK_FALSE(schema::ParseSchema("{\"x\":" + std::string(1000, '[') + std::string(1000, ']') + "}").ok());
  const auto twice = schema::ParseSchema("{\"output_variables\": {\n\"a\": {},\n\"a\": {}}}");
  REQUIRE(twice.problems.size() == 1);
  CHECK(twice.problems[0].line == 3);
}

TEST_CASE("env_example.json is flat and keeps its order", "[R3][U4]") {
  const auto good =
      schema::ParseEnvExample(R"({"WIFI_SSID": "", "PEPEUNIT_URL": "", "PERIOD_S": 5, "DEBUG": false, "X": null})");
  REQUIRE(good.ok());
  CHECK(good.env.begin().key() == "WIFI_SSID");
  const auto bad = schema::ParseEnvExample("{\n\"A\": {},\n\"B C\": 1}");
  REQUIRE(Find(bad.problems, "A") != nullptr);
  CHECK(Find(bad.problems, "A")->line == 2);
  CHECK(Find(bad.problems, "B C")->line == 3);
  CHECK_FALSE(schema::ParseEnvExample("{").ok());
}

TEST_CASE("a policy for readings is a mode, or a mode with its settings", "[D3][S4]") {
  const auto result = schema::ParseSchema(R"({"output_variables": {
    "a": {"logging": {"mode": "mean", "window": "15m", "grace": "1m", "keep": "365d"}},
    "b": {"type": "boolean", "logging": {"mode": "median", "window": 10, "grace": 0}},
    "c": {"logging": {"mode": "on_change", "dead_band": 0.25, "every": "1h"}},
    "d": {"type": "string", "logging": {"mode": "rate", "every": "30s"}},
    "e": {"type": "json", "logging": "on_change"},
    "f": {}
  }})");
  for (const auto& problem : result.problems) UNSCOPED_INFO(problem.field << " " << problem.message);
  REQUIRE(result.ok());
  const auto& outputs = result.schema.outputs;
  using schema::Logging, schema::LoggingMode;
  CHECK(outputs[0].logging == Logging{LoggingMode::kMean, 900, 60, 0, 0, 365 * 86'400});
  CHECK(outputs[1].logging == Logging{LoggingMode::kMedian, 10, 0, 0, 0, 0});
  CHECK(outputs[2].logging == Logging{LoggingMode::kOnChange, 0, 10, 0.25, 3'600, 0});
  CHECK(outputs[3].logging == Logging{LoggingMode::kRate, 0, 10, 0, 30, 0});
  CHECK(outputs[4].logging.mode == LoggingMode::kOnChange);
  CHECK(outputs[5].logging == Logging());
}

TEST_CASE("a policy that makes no sense is refused with its field", "[D3][R3]") {
  const auto [logging, field] = GENERATE(table<const char*, const char*>({
      {R"("sometimes")", "logging"},
      {R"(7)", "logging"},
      {R"({"mode": "sometimes"})", "logging.mode"},
      {R"({"window": 60})", "logging.mode"},
      {R"({"mode": "mean"})", "logging.window"},
      {R"({"mode": "mean", "window": 7})", "logging.window"},
      {R"({"mode": "mean", "window": "2d"})", "logging.window"},
      {R"({"mode": "mean", "window": "1w"})", "logging.window"},
      {R"({"mode": "mean", "window": 60, "grace": "2h"})", "logging.grace"},
      {R"({"mode": "mean", "window": 60, "every": 5})", "logging.every"},
      {R"({"mode": "direct", "window": 60})", "logging.window"},
      {R"({"mode": "direct", "dead_band": 1})", "logging.dead_band"},
      {R"({"mode": "on_change", "dead_band": -1})", "logging.dead_band"},
      {R"({"mode": "on_change", "dead_band": "1"})", "logging.dead_band"},
      {R"({"mode": "rate"})", "logging.every"},
      {R"({"mode": "off", "keep": 60})", "logging.keep"},
      {R"({"mode": "off", "keep": "999999999d"})", "logging.keep"},
  }));
  INFO(logging);
  const auto result =
      schema::ParseSchema(std::string(R"({"output_variables": {"x": {"logging": )") + logging + "}}}");
  for (const auto& problem : result.problems) UNSCOPED_INFO(problem.field << " " << problem.message);
  CHECK_FALSE(result.ok());
  CHECK(Find(result.problems, std::string("output_variables.x.") + field) != nullptr);
}

TEST_CASE("mean and median are of numbers", "[D3][R3]") {
  const auto result = schema::ParseSchema(
      R"({"output_variables": {"x": {"type": "string", "logging": {"mode": "mean", "window": 60}}}})");
  CHECK_FALSE(result.ok());
  CHECK(Find(result.problems, "output_variables.x.logging.mode") != nullptr);
}
