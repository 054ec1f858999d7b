#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "world.h"

using namespace pepeunit;
using namespace pepeunit::graph_registry;

namespace {

using nlohmann::json;

graph::v1::CreateUnitRequest Request(const graph::v1::RepoUnit& repo) {
  graph::v1::CreateUnitRequest request;
  request.set_repo_unit_id(repo.id());
  request.set_name("kitchen");
  return request;
}

graph::v1::SetVariableValueRequest Set(const std::string& id, double value) {
  graph::v1::SetVariableValueRequest request;
  request.set_id(id);
  request.mutable_value()->set_number_value(value);
  return request;
}

}  // namespace

TEST_CASE("a unit is made from a configured repository with all that hangs on it", "[U2][U3][U4][U5][G1][G3]") {
  World w;
  const rpc::Caller anna = w.User("anna");
  const auto repo = w.Repo(anna);
  w.Events();
  graph::v1::Unit unit;
  REQUIRE(w.units.Create(anna, Request(repo), unit) == absl::OkStatus());
  CHECK(unit.level() == common::v1::ACCESS_LEVEL_PRIVATE);
  CHECK(unit.version().repo_unit_id() == repo.id());
  CHECK(unit.version().commit() == std::string(40, 'a'));
  CHECK(unit.version().branch() == "main");
  CHECK(unit.version().follow());

  graph::v1::ListUnitVariablesResponse variables;
  REQUIRE(w.units.ListVariables(anna, unit.id(), variables).ok());
  std::string names;
  for (const auto& v : variables.variables()) names += v.name() + ' ';
  CHECK(names == "wanted by_links_only by_people_only label measured text ");
  const auto& wanted = variables.variables(0);
  CHECK(wanted.kind() == graph::v1::VARIABLE_KIND_INPUT);
  CHECK(wanted.unit_id() == unit.id());
  CHECK(wanted.minimum() == 5);
  CHECK(wanted.default_value().number_value() == 20);
  CHECK(variables.variables(4).unit_of_measure() == "°C");
  CHECK(variables.variables(5).logging() == "off");
  graph::v1::Variable one;
  REQUIRE(w.units.GetVariable(anna, wanted.id(), one).ok());
  CHECK(one.SerializeAsString() == wanted.SerializeAsString());

  const auto secrets = w.store.GetUnitSecrets(*Uuid::Parse(unit.id()));
  REQUIRE(secrets.ok());
  const std::string key_context = "graph.unit.sync_key:" + unit.id() + '|',
                    env_context = "graph.unit.env:" + unit.id() + '|';
  REQUIRE(secrets->sealed_sync_key.substr(0, key_context.size()) == key_context);
  REQUIRE(secrets->sealed_env.substr(0, env_context.size()) == env_context);
  const std::string key = secrets->sealed_sync_key.substr(key_context.size());
  CHECK(key.size() == 32);
  const json env = json::parse(secrets->sealed_env.substr(env_context.size()));
  CHECK(env["PEPEUNIT_URL"] == "http://device:8081");
  CHECK(env["PEPEUNIT_TOKEN"] == "token of " + unit.id() + " 1");
  CHECK(env["SYNC_ENCRYPT_KEY"] == Base64Encode(AsBytes(key)));
  CHECK(Base64Decode(env["SECRET_KEY"].get<std::string>())->size() == 32);
  CHECK(env["SECRET_KEY"] != env["SYNC_ENCRYPT_KEY"]);
  CHECK(env["WIFI_SSID"] == "");
  CHECK(env["LED"] == 2);

  const auto events = w.Events();
  REQUIRE(events.size() == 1);
  CHECK(events[0].unit_changed().unit_id() == unit.id());
  CHECK(events[0].DebugString().find("token") == std::string::npos);
}

TEST_CASE("a unit can be pinned to a branch, tag or commit that is there", "[U2]") {
  World w;
  const rpc::Caller anna = w.User("anna");
  const auto repo = w.Repo(anna);
  w.versions.Add("next", 'b', kSchema, "{}");
  auto& tagged = w.versions.versions["tag:v1"];
  tagged = w.versions.versions["branch:main"];
  tagged.set_tag("v1");
  graph::v1::Unit unit;
  auto request = Request(repo);
  request.mutable_pin()->set_branch("next");
  REQUIRE(w.units.Create(anna, request, unit) == absl::OkStatus());
  CHECK(unit.version().commit() == std::string(40, 'b'));
  CHECK_FALSE(unit.version().follow());
  request.mutable_pin()->set_tag("v1");
  REQUIRE(w.units.Create(anna, request, unit).ok());
  CHECK(unit.version().tag() == "v1");
  request.mutable_pin()->set_commit(std::string(40, 'b'));
  CHECK(w.units.Create(anna, request, unit).ok());
  request.mutable_pin()->set_commit(std::string(40, 'c'));
  CHECK(Violations(w.units.Create(anna, request, unit)) == "pin.commit");
  request.mutable_pin()->set_commit("main");
  CHECK(Violations(w.units.Create(anna, request, unit)) == "pin.commit");
  request.mutable_pin()->set_tag("");
  request.set_name("");
  request.set_repo_unit_id("x");
  CHECK(Violations(w.units.Create(anna, request, unit)) == "repo_unit_id name pin.tag");
}

TEST_CASE("no unit is made from what is not configured, not ready, broken or unknown", "[R3][R7][U3]") {
  World w;
  const rpc::Caller anna = w.User("anna"), berta = w.User("berta");
  graph::v1::Unit unit;
  CHECK(Reason(w.units.Create(anna, Request(w.Repo(anna, common::v1::ACCESS_LEVEL_PUBLIC, false)), unit)) ==
        "NOT_CONFIGURED");
  const auto hidden = w.Repo(anna, common::v1::ACCESS_LEVEL_PRIVATE);
  CHECK(absl::IsNotFound(w.units.Create(berta, Request(hidden), unit)));
  CHECK(Reason(w.units.Create({}, Request(hidden), unit)) == "UNAUTHENTICATED");
  const auto repo = w.Repo(anna);
  w.versions.status = Error(absl::StatusCode::kFailedPrecondition, "REPOSITORY_NOT_READY", "being cloned");
  CHECK(Reason(w.units.Create(anna, Request(repo), unit)) == "REPOSITORY_NOT_READY");
  w.versions.status = Unavailable("down");
  CHECK(absl::IsUnavailable(w.units.Create(anna, Request(repo), unit)));
  w.versions.status = absl::OkStatus();
  w.versions.Add("main", 'b', "[]", "{}");
  CHECK(Reason(w.units.Create(anna, Request(repo), unit)) == "INVALID_REPOSITORY");
  w.versions.versions.erase("branch:main");
  CHECK(Reason(w.units.Create(anna, Request(repo), unit)) == "NOT_CONFIGURED");
  w.versions.Add("main", 'b', kSchema, "{}");
  w.secrets.down = true;
  CHECK(absl::IsUnavailable(w.units.Create(anna, Request(repo), unit)));
  CHECK(w.Count("unit") == 0);
  CHECK(w.Count("node WHERE type >= 3") == 0);
}

TEST_CASE("512 variables are made with their unit", "[U3]") {
  World w;
  const rpc::Caller anna = w.User("anna");
  const auto repo = w.Repo(anna);
  std::string list;
  for (int i = 0; i < 512; ++i) list += (i ? ",\"v-" : "\"v-") + std::to_string(i) + '"';
  w.versions.Add("main", 'b', "{\"output_variables\": [" + list + "]}", "{}");
  const auto unit = w.Unit(anna, repo);
  graph::v1::ListUnitVariablesResponse variables;
  REQUIRE(w.units.ListVariables(anna, unit.id(), variables).ok());
  REQUIRE(variables.variables_size() == 512);
  CHECK(variables.variables(511).name() == "v-511");
}

TEST_CASE("a unit's level and its variables' go together, and those who lose sight lose it of all", "[A3][A4]") {
  World w;
  rpc::Caller anna = w.User("anna");
  const rpc::Caller berta = w.User("berta");
  const auto unit = w.Unit(anna, w.Repo(anna), common::v1::ACCESS_LEVEL_INSTANCE);
  const std::string measured = w.Variable(unit, "measured");
  graph::v1::Variable variable;
  graph::v1::Unit seen;
  CHECK(w.units.GetVariable(berta, measured, variable).ok());
  CHECK(w.units.Get(berta, unit.id(), seen).ok());
  CHECK(absl::IsNotFound(w.units.Get({}, unit.id(), seen)));
  graph::v1::UpdateUnitRequest update;
  update.set_id(unit.id());
  update.set_level(common::v1::ACCESS_LEVEL_PRIVATE);
  CHECK(Reason(w.units.Update(berta, update, seen)) == "FORBIDDEN");
  w.Events();
  anna.if_match = unit.etag();
  REQUIRE(w.units.Update(anna, update, seen) == absl::OkStatus());
  CHECK(Reason(w.units.Update(anna, update, seen)) == "VERSION_MISMATCH");
  CHECK(w.Events().at(0).unit_changed().unit_id() == unit.id());
  CHECK(absl::IsNotFound(w.units.GetVariable(berta, measured, variable)));
  CHECK(absl::IsNotFound(w.units.Get(berta, unit.id(), seen)));
  CHECK(absl::IsNotFound(w.units.Get(anna, measured, seen)));  // no unit
  CHECK(Violations(w.units.Get(anna, "x", seen)) == "id");
}

TEST_CASE("an input takes values from those who may, of its type, within its bounds", "[S3][G2]") {
  World w;
  const rpc::Caller anna = w.User("anna"), berta = w.User("berta");
  const auto unit = w.Unit(anna, w.Repo(anna), common::v1::ACCESS_LEVEL_PUBLIC);
  const std::string wanted = w.Variable(unit, "wanted");
  graph::v1::SetVariableValueResponse answer;
  REQUIRE(w.units.SetValue(anna, Set(wanted, 21.5), answer) == absl::OkStatus());
  CHECK(answer.value().number_value() == 21.5);
  REQUIRE(w.values.writes.size() == 1);
  const auto& write = w.values.writes[0];
  CHECK(write.input_id() == Uuid::Parse(wanted)->ToBytes());
  CHECK(write.unit_id() == Uuid::Parse(unit.id())->ToBytes());
  CHECK(write.user_id() == anna.user_id.ToBytes());
  CHECK(write.value().number() == 21.5);
  CHECK(write.time_ms() > 0);

  CHECK(Reason(w.units.SetValue(berta, Set(wanted, 21), answer)) == "FORBIDDEN");
  CHECK(Reason(w.units.SetValue({}, Set(wanted, 21), answer)) == "UNAUTHENTICATED");
  CHECK(Violations(w.units.SetValue(anna, Set(wanted, 31), answer)) == "value");
  auto request = Set(wanted, 0);
  request.mutable_value()->set_string_value("warm");
  CHECK(Violations(w.units.SetValue(anna, request, answer)) == "value");
  request.clear_value();
  CHECK(Violations(w.units.SetValue(anna, request, answer)) == "value");
  CHECK(Reason(w.units.SetValue(anna, Set(w.Variable(unit, "measured"), 1), answer)) == "NOT_WRITABLE");
  CHECK(Reason(w.units.SetValue(anna, Set(w.Variable(unit, "by_links_only"), 1), answer)) == "NOT_WRITABLE");
  CHECK(absl::IsNotFound(w.units.SetValue(anna, Set(Uuid::New().ToString(), 1), answer)));
  CHECK(absl::IsNotFound(w.units.SetValue(anna, Set(unit.id(), 1), answer)));
  w.values.status = Unavailable("the bus");
  CHECK(absl::IsUnavailable(w.units.SetValue(anna, Set(wanted, 21), answer)));
  w.values.status = Limit("full");
  CHECK(Reason(w.units.SetValue(anna, Set(wanted, 21), answer)) == "LIMIT");
  CHECK(w.values.writes.size() == 1);
}

TEST_CASE("deleting a unit deletes everything tied to it and tells so", "[U11]") {
  World w;
  const rpc::Caller anna = w.User("anna"), berta = w.User("berta");
  const auto repo = w.Repo(anna);
  const auto source = w.Unit(anna, repo), target = w.Unit(anna, repo, common::v1::ACCESS_LEVEL_PUBLIC);
  graph::v1::CreateLinkRequest request;
  request.set_type(graph::v1::LINK_TYPE_WRITE);
  request.set_output_id(w.Variable(source, "measured"));
  request.set_input_id(w.Variable(target, "wanted"));
  graph::v1::Link link;
  REQUIRE(w.links.Create(anna, request, link) == absl::OkStatus());
  w.Events();
  CHECK(Reason(w.units.Delete(berta, target.id())) == "FORBIDDEN");
  CHECK(absl::IsNotFound(w.units.Delete(berta, source.id())));
  REQUIRE(w.units.Delete(anna, target.id()) == absl::OkStatus());
  const auto events = w.Events();
  REQUIRE(events.size() == 2);
  CHECK(events[0].unit_changed().unit_id() == source.id());
  CHECK_FALSE(events[0].unit_changed().deleted());
  CHECK(events[1].unit_changed().unit_id() == target.id());
  CHECK(events[1].unit_changed().deleted());
  CHECK(events[1].unit_changed().removed_variable_ids_size() == 6);
  CHECK(w.Count("link") == 0);
  CHECK(w.Count("variable") == 6);
  CHECK(w.Count("node WHERE type >= 4") == 6);
  CHECK(absl::IsNotFound(w.units.Delete(anna, target.id())));
}
