#include <catch2/catch.hpp>
#include <limits>

#include "pepeunit/base/errors.h"
#include "pepeunit/schema/schema.h"

using namespace pepeunit;
using nlohmann::json;
using schema::Type;

namespace {
schema::Variable Of(Type type) {
  schema::Variable v;
  v.name = "v";
  v.type = type;
  return v;
}
bool Good(const schema::Variable& v, const json& value) { return schema::CheckValue(v, value, "v").ok(); }
}  // namespace

TEST_CASE("values against types", "[S3][S4]") {
  CHECK(Good(Of(Type::kNumber), 1.5));
  CHECK(Good(Of(Type::kNumber), -3));
  CHECK_FALSE(Good(Of(Type::kNumber), "1"));
  CHECK_FALSE(Good(Of(Type::kNumber), nullptr));
  CHECK_FALSE(Good(Of(Type::kNumber), std::numeric_limits<double>::infinity()));
  CHECK(Good(Of(Type::kInteger), 3));
  CHECK(Good(Of(Type::kInteger), 3.0));
  CHECK(Good(Of(Type::kInteger), 9007199254740991LL));
  CHECK_FALSE(Good(Of(Type::kInteger), 9007199254740993LL));
  CHECK_FALSE(Good(Of(Type::kInteger), 3.5));
  CHECK_FALSE(Good(Of(Type::kInteger), true));
  CHECK(Good(Of(Type::kBoolean), false));
  CHECK_FALSE(Good(Of(Type::kBoolean), 0));
  CHECK(Good(Of(Type::kString), std::string(4096, 'x')));
  CHECK_FALSE(Good(Of(Type::kString), std::string(4097, 'x')));
  CHECK_FALSE(Good(Of(Type::kString), std::string("a\0b", 3)));
  CHECK(Good(Of(Type::kJson), std::string(4000, 'x')));
  CHECK_FALSE(Good(Of(Type::kJson), std::string(4097, 'x')));
  CHECK(Good(Of(Type::kJson), json::parse(R"({"a": [1, {"b": null}]})")));
  CHECK_FALSE(Good(Of(Type::kJson), json::parse(std::string(17, '[') + std::string(17, ']'))));
  CHECK(Good(Of(Type::kJson), json::parse(std::string(16, '[') + std::string(16, ']'))));
}

TEST_CASE("values against bounds and choices, told with what is allowed", "[S3]") {
  auto v = Of(Type::kNumber);
  v.minimum = 5;
  v.maximum = 30;
  CHECK(Good(v, 5));
  CHECK(Good(v, 30));
  CHECK(InfoOf(schema::CheckValue(v, 31, "value")).violations[0].description == "must be from 5.0 to 30.0");
  CHECK(InfoOf(schema::CheckValue(v, 31, "value")).violations[0].field == "value");
  auto c = Of(Type::kString);
  c.choices = {"on", "off"};
  CHECK(Good(c, "on"));
  CHECK(InfoOf(schema::CheckValue(c, "auto", "value")).violations[0].description == R"(must be one of "on", "off")");
}

TEST_CASE("what a link carries", "[G2][G4]") {
  CHECK(*schema::Carry(21.5, Of(Type::kNumber)) == 21.5);
  CHECK(*schema::Carry(21.0, Of(Type::kInteger)) == 21);
  CHECK(schema::Carry(21.0, Of(Type::kInteger))->is_number_integer());
  CHECK_FALSE(schema::Carry(21.5, Of(Type::kInteger)));
  CHECK(*schema::Carry(true, Of(Type::kNumber)) == 1);
  CHECK_FALSE(schema::Carry("x", Of(Type::kNumber)));
  CHECK(*schema::Carry("x", Of(Type::kJson)) == "x");
  auto bounded = Of(Type::kNumber);
  bounded.maximum = 10;
  CHECK_FALSE(schema::Carry(11, bounded));
}

TEST_CASE("which types a link may join", "[G2]") {
  const Type all[] = {Type::kNumber, Type::kInteger, Type::kBoolean, Type::kString, Type::kJson};
  const char* table[] = {"yy..y", "yy..y", "yyy.y", "...yy", "....y"};  // from each row to each column
  for (int from = 0; from < 5; ++from) {
    for (int to = 0; to < 5; ++to) CHECK(schema::Compatible(all[from], all[to]) == (table[from][to] == 'y'));
  }
}
