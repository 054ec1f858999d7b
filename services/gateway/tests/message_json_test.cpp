#include "message_json.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "pepeunit/base/errors.h"
#include "pepeunit/graph/v1/graph.pb.h"
#include "pepeunit/graph/v1/repo_units.pb.h"
#include "pepeunit/graph/v1/units.pb.h"
#include "pepeunit/log/v1/values.pb.h"
#include "router.h"

using namespace pepeunit;
using namespace pepeunit::gateway;

namespace {

absl::StatusOr<std::unique_ptr<google::protobuf::Message>> Read(const std::string& verb, const std::string& target,
                                                                const std::string& body = "") {
  static const Router router = *LinkedRouter();
  const auto mark = target.find('?');
  const auto match = router.Find(verb, target.substr(0, mark));
  REQUIRE(match.binding != nullptr);
  return ReadRequest(*match.binding, match.captures, mark == std::string::npos ? "" : target.substr(mark + 1), body);
}

template <typename T>
T ReadAs(const std::string& verb, const std::string& target, const std::string& body = "") {
  auto message = Read(verb, target, body);
  INFO(message.status());
  REQUIRE(message.ok());
  return dynamic_cast<const T&>(**message);
}

// The fields at fault, sorted.
std::vector<std::string> Faults(const std::string& verb, const std::string& target, const std::string& body = "") {
  const auto message = Read(verb, target, body);
  REQUIRE_FALSE(message.ok());
  std::vector<std::string> fields;
  for (const auto& violation : InfoOf(message.status()).violations) fields.push_back(violation.field);
  std::sort(fields.begin(), fields.end());
  return fields;
}

std::string Reason(const std::string& verb, const std::string& target, const std::string& body) {
  const auto message = Read(verb, target, body);
  REQUIRE_FALSE(message.ok());
  return InfoOf(message.status()).reason;
}

using Strings = std::vector<std::string>;

}  // namespace

TEST_CASE("a repeated field is filled by a query parameter that comes several times") {
  const auto search =
      ReadAs<graph::v1::SearchNodesRequest>("GET", "/api/v1/nodes?types=NODE_TYPE_UNIT&name=x&types=NODE_TYPE_USER");
  REQUIRE(search.types_size() == 2);
  CHECK(search.types(0) == graph::v1::NODE_TYPE_UNIT);
  CHECK(search.types(1) == graph::v1::NODE_TYPE_USER);
  CHECK(search.name() == "x");
  CHECK(Faults("GET", "/api/v1/nodes?name=x&name=y") == Strings{"name"});
  CHECK_FALSE(Faults("GET", "/api/v1/nodes?types=NODE_TYPE_UNIT&types=nonsense").empty());
}

TEST_CASE("path, query and body fill the request") {
  const auto readings = ReadAs<log::v1::ListReadingsRequest>(
      "GET", "/api/v1/variables/v%201/readings?from=2026-11-23T15%3A04%3A05Z&page_size=7&cursor=a+b");
  CHECK(readings.variable_id() == "v 1");
  CHECK(readings.from().seconds() == 1795446245);
  CHECK(readings.page_size() == 7);
  CHECK(readings.cursor() == "a b");
  CHECK_FALSE(readings.has_to());

  const auto update = ReadAs<graph::v1::UpdateRepoUnitRequest>(
      "PATCH", "/api/v1/repo-units/r", R"({"level": "ACCESS_LEVEL_PUBLIC", "sync_period": "3600s", "name": null})");
  CHECK(update.id() == "r");
  CHECK(update.level() == common::v1::ACCESS_LEVEL_PUBLIC);
  CHECK(update.sync_period().seconds() == 3600);
  CHECK_FALSE(update.has_name());
  CHECK_FALSE(update.has_no_automatic_sync());

  const auto unit = ReadAs<graph::v1::CreateUnitRequest>("POST", "/api/v1/units", R"({"pin": {"tag": "v1"}})");
  CHECK(unit.pin().tag() == "v1");
  CHECK(ReadAs<graph::v1::SyncRepoUnitRequest>("POST", "/api/v1/repo-units/r:sync").id() == "r");
}

TEST_CASE("a value of any JSON kind passes", "[S3]") {
  const auto put = [](const std::string& value) {
    return ReadAs<graph::v1::SetVariableValueRequest>("PUT", "/api/v1/variables/v/value",
                                                      R"({"value": )" + value + "}");
  };
  CHECK(put("21.5").value().number_value() == 21.5);
  CHECK(put("true").value().bool_value());
  CHECK(put(R"("on")").value().string_value() == "on");
  CHECK(put("null").value().kind_case() == google::protobuf::Value::kNullValue);
  CHECK(put(R"({"a": [1, {"b": null}]})").value().struct_value().fields().size() == 1);
}

TEST_CASE("what does not fit is refused by name") {
  CHECK(Faults("POST", "/api/v1/units", R"({"nam": 1, "level": "OPEN", "pin": {"x": 1}})") ==
        Strings{"level", "nam", "pin.x"});
  CHECK(Faults("POST", "/api/v1/units", R"({"repoUnitId": "x"})") == Strings{"repoUnitId"});
  CHECK(Faults("POST", "/api/v1/units", R"({"pin": {"tag": "a", "branch": "b"}})").size() == 1);
  CHECK(Faults("POST", "/api/v1/repo-units", R"({"private": "yes", "name": 7, "credentials": []})") ==
        Strings{"credentials", "name", "private"});
  CHECK(Faults("POST", "/api/v1/repo-units", R"({"sync_period": "an hour"})") == Strings{"sync_period"});
  CHECK(Faults("GET", "/api/v1/units?page_size=1.5") == Strings{"page_size"});
  CHECK(Faults("GET", "/api/v1/units?page_size=99999999999") == Strings{"page_size"});
  CHECK(Faults("GET", "/api/v1/units?page=1") == Strings{"page"});
  CHECK(Faults("GET", "/api/v1/units?cursor=a&cursor=b") == Strings{"cursor"});
  CHECK(Faults("GET", "/api/v1/units?cursor=%f") == Strings{"query"});
  CHECK(Faults("GET", "/api/v1/variables/v/readings?from=yesterday") == Strings{"from"});
  CHECK(Faults("PATCH", "/api/v1/units/u?name=x", "{}") == Strings{"name"});
  CHECK(Faults("PATCH", "/api/v1/units/u", R"({"id": "other"})") == Strings{"id"});
  CHECK(Read("PATCH", "/api/v1/units/u", R"({"id": "u"})").ok());
  std::string many;
  for (int i = 0; i < 100; ++i) many += "&a=1";
  CHECK(Faults("GET", "/api/v1/units?" + many) == Strings{"query"});
}

TEST_CASE("a body that is no JSON object is refused") {
  for (const std::string body : {R"({"name": )", "[]", "7", "{} {}", R"({"name": "a", "name": "b"})", "{'name': 1}",
                                 R"({"name": "a",})", "\"\xff\"", "{\"name\": 1e999}", "nul"}) {
    CAPTURE(body);
    CHECK(Reason("POST", "/api/v1/units", body) == "INVALID_BODY");
  }
  CHECK(Reason("DELETE", "/api/v1/units/u", "{}") == "INVALID_BODY");
}

TEST_CASE("depth is bounded") {
  const auto nested = [](int depth) {
    return R"({"value": )" + std::string(static_cast<std::size_t>(depth), '[') +
           std::string(static_cast<std::size_t>(depth), ']') + "}";
  };
  CHECK(Read("PUT", "/api/v1/variables/v/value", nested(31)).ok());
  CHECK(Reason("PUT", "/api/v1/variables/v/value", nested(32)) == "INVALID_BODY");
  CHECK(Reason("PUT", "/api/v1/variables/v/value", nested(500'000)) == "INVALID_BODY");
}

TEST_CASE("answers have the names of proto/ and all plain fields") {
  graph::v1::RepoUnit repo;
  repo.set_id("7");
  repo.set_level(common::v1::ACCESS_LEVEL_PRIVATE);
  repo.mutable_created_at()->set_seconds(0);
  repo.mutable_sync()->set_size_bytes(1LL << 60);
  const auto text = WriteResponse(repo);
  REQUIRE(text.ok());
  const auto json = nlohmann::json::parse(*text);
  CHECK(json["level"] == "ACCESS_LEVEL_PRIVATE");
  CHECK(json["default_branch"] == "");
  CHECK(json["private"] == false);
  CHECK(json["created_at"] == "1970-01-01T00:00:00Z");
  CHECK(json["sync"]["size_bytes"] == "1152921504606846976");
  CHECK_FALSE(json.contains("sync_period"));
  graph::v1::ListUnitsResponse empty;
  CHECK(nlohmann::json::parse(*WriteResponse(empty))["units"] == nlohmann::json::array());
  CHECK(nlohmann::json::parse(*WriteResponse(graph::v1::Variable())).contains("minimum") == false);
}
