#include "pepeunit/values/values.h"

#include <catch2/catch.hpp>

using namespace pepeunit;
using nlohmann::json;

TEST_CASE("a value survives its three clothes", "[S3][S4]") {
  const std::pair<json, schema::Type> cases[] = {{1.5, schema::Type::kNumber},
                                                 {-3, schema::Type::kInteger},
                                                 {9007199254740991LL, schema::Type::kInteger},
                                                 {true, schema::Type::kBoolean},
                                                 {"текст", schema::Type::kString},
                                                 {json::parse(R"({"a":[1,null,{"b":"c"}]})"), schema::Type::kJson},
                                                 {json::array(), schema::Type::kJson},
                                                 {json::object(), schema::Type::kJson},
                                                 {nullptr, schema::Type::kJson}};
  for (const auto& [value, type] : cases) {
    INFO(value.dump());
    bus::v1::Scalar scalar;
    values::ToScalar(value, type, &scalar);
    CHECK(values::ToJson(scalar) == value);
    google::protobuf::Value proto;
    values::ToValue(value, &proto);
    CHECK(values::ToJson(proto) == value);
  }
  CHECK(values::ToJson(bus::v1::Scalar()).is_null());
}

TEST_CASE("a definition survives the API", "[S3][S4]") {
  const auto parsed = schema::ParseSchema(R"({"input_variables": {"mode": {"type": "string", "choices": ["a", "b"],
    "default": "a", "writable_by": ["links"], "unit": "u", "description": "d"}},
    "output_variables": {"t": {"type": "integer", "minimum": 0, "maximum": 10, "logging": "off"}}})");
  REQUIRE(parsed.ok());
  graph::v1::Variable input, output;
  values::FromDefinition(parsed.schema.inputs[0], graph::v1::VARIABLE_KIND_INPUT, &input);
  values::FromDefinition(parsed.schema.outputs[0], graph::v1::VARIABLE_KIND_OUTPUT, &output);
  const auto mode = values::ToDefinition(input), t = values::ToDefinition(output);
  CHECK(mode.choices == parsed.schema.inputs[0].choices);
  CHECK(mode.default_value == json("a"));
  CHECK_FALSE(mode.people_may_write);
  CHECK(mode.links_may_write);
  CHECK(t.type == schema::Type::kInteger);
  CHECK(t.maximum == 10);
  CHECK(t.logging.mode == schema::LoggingMode::kOff);
}
