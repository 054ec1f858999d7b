#include "schema_stamp.h"

#include <catch2/catch.hpp>

#include "pepeunit/base/errors.h"

using namespace pepeunit;
using namespace pepeunit::archive;

namespace {

const std::string kCommit = "0123456789abcdef0123456789abcdef01234567";

const Uuid kStampedUnit = *Uuid::Parse("0190163d-8694-739b-aea5-966c26f8ad91");

bool Invalid(const std::string& text) {
  const auto stamped = StampSchema(text, kCommit, kStampedUnit);
  return stamped.status().code() == absl::StatusCode::kFailedPrecondition &&
         InfoOf(stamped.status()).reason == "INVALID_REPOSITORY";
}

}  // namespace

TEST_CASE("the version is added at the end and the order is kept", "[U6][S2]") {
  const auto stamped = StampSchema(
      R"({"world_state":["utc"],"output_variables":[{"name":"t","type":"number","maximum":1.5}],"input_variables":[]})",
      kCommit, kStampedUnit);
  REQUIRE(stamped.ok());
  CHECK(*stamped == R"({
  "world_state": [
    "utc"
  ],
  "output_variables": [
    {
      "name": "t",
      "type": "number",
      "maximum": 1.5
    }
  ],
  "input_variables": [],
  "pepeunit": {
    "commit": ")" + kCommit +
                        R"(",
    "unit": "0190163d-8694-739b-aea5-966c26f8ad91"
  }
}
)");
}

TEST_CASE("what a repository says under that name is replaced, and a second stamp changes nothing", "[U6]") {
  const auto once = StampSchema(R"({"pepeunit":{"commit":"forged","x":1},"a":"ж"})", kCommit, kStampedUnit);
  REQUIRE(once.ok());
  CHECK(once->find("forged") == std::string::npos);
  CHECK(once->find("ж") != std::string::npos);
  CHECK(*StampSchema(*once, kCommit, kStampedUnit) == *once);
}

TEST_CASE("a schema that is none is refused", "[U6]") {
  for (const std::string& text : {std::string(), std::string("{"), std::string("[]"), std::string("1"),
                                  std::string("{} x"), std::string("{\"a\":\"\xff\"}"), std::string(200'000, '['),
                                  "{\"a\":" + std::string(100, '[') + std::string(100, ']') + "}",
                                  "{\"a\":\"" + std::string(kMaxSchema, 'x') + "\"}"}) {
    INFO(text.substr(0, 40));
    CHECK(Invalid(text));
  }
  CHECK(StampSchema("{}", kCommit, kStampedUnit).ok());
  CHECK(StampSchema("{\"a\":" + std::string(20, '[') + std::string(20, ']') + "}", kCommit, kStampedUnit).ok());
}
