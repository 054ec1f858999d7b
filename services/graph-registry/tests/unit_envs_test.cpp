#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "world.h"

using namespace pepeunit;
using namespace pepeunit::graph_registry;

namespace {

using nlohmann::json;
using Keys = std::vector<std::string>;

const std::set<std::string> kSecret = {"PEPEUNIT_TOKEN", "SYNC_ENCRYPT_KEY", "SECRET_KEY"};

// Anna's unit, made from a sample with WIFI_SSID, PEPEUNIT_URL and LED.
struct Envs : World {
  rpc::Caller anna = User("anna"), berta = User("berta");
  graph::v1::RepoUnit repo = Repo(anna);
  graph::v1::Unit unit = Unit(anna, repo);
  Uuid id = *Uuid::Parse(unit.id());

  UnitSecrets Secrets() {
    const auto secrets = store.GetUnitSecrets(id);
    REQUIRE(secrets.ok());
    return *secrets;
  }
  json Env() {
    const auto text = this->secrets.OpenEnv(id, Secrets().sealed_env);
    REQUIRE(text.ok());
    return json::parse(*text);
  }
  std::string SyncKey() {
    const std::string context = "graph.unit.sync_key:" + unit.id() + '|', sealed = Secrets().sealed_sync_key;
    REQUIRE(sealed.substr(0, context.size()) == context);
    return sealed.substr(context.size());
  }
  graph::v1::Unit Now() {
    const auto found = store.GetUnit(id);
    REQUIRE(found.ok());
    return *found;
  }
  absl::Status Reset(const rpc::Caller& caller) {
    graph::v1::Unit out;
    return units.ResetEnv(caller, unit.id(), out);
  }
  graph::v1::UnitMove Move(const std::string& branch, bool preview = false) {
    graph::v1::MoveUnitRequest request;
    request.set_id(unit.id());
    request.set_preview(preview);
    branch.empty() ? request.set_follow(true) : request.mutable_pin()->set_branch(branch);
    graph::v1::UnitMove move;
    REQUIRE(units.Move(anna, request, move) == absl::OkStatus());
    return move;
  }
  void Follow() { REQUIRE(FollowAll(*Uuid::Parse(repo.id())) == absl::OkStatus()); }
  // As units are that were made before the names of their keys were kept.
  void ForgetKeys() {
    REQUIRE(pool.Transact("forget", [&](pqxx::work& tx) {
      tx.exec("UPDATE unit SET env_keys = NULL");
      return absl::OkStatus();
    }) == absl::OkStatus());
  }
};

template <typename List>
Keys In(const List& list) {
  return {list.begin(), list.end()};
}

}  // namespace

TEST_CASE("a reset gives new keys and a token of the next generation, and leaves the rest", "[U4][U5]") {
  Envs w;
  const json before = w.Env();
  const std::string old_key = w.SyncKey();
  w.Events();
  graph::v1::Unit out;
  REQUIRE(w.units.ResetEnv(w.anna, w.unit.id(), out) == absl::OkStatus());
  CHECK(out.etag() != w.unit.etag());
  const json after = w.Env();
  CHECK(after.size() == before.size());
  for (const auto& [key, value] : before.items()) {
    INFO(key);
    CHECK((after.at(key) == value) == !kSecret.contains(key));
  }
  CHECK(after["PEPEUNIT_TOKEN"] == "token of " + w.unit.id() + " 2");
  CHECK(Base64Decode(after["SECRET_KEY"].get<std::string>())->size() == 32);
  CHECK(after["SECRET_KEY"] != after["SYNC_ENCRYPT_KEY"]);
  CHECK(w.SyncKey() != old_key);
  CHECK(after["SYNC_ENCRYPT_KEY"] == Base64Encode(AsBytes(w.SyncKey())));
  graph::v1::UnitProfile profile;
  REQUIRE(w.internals.UnitProfile(rpc::Caller::Service(), w.unit.id(), profile).ok());
  CHECK(profile.token_generation() == 2);
  CHECK(profile.sealed_sync_key() == w.Secrets().sealed_sync_key);

  // Told, and written down, without what is secret.
  const auto events = w.Events();
  REQUIRE(events.size() == 1);
  CHECK(events[0].unit_changed().unit_id() == w.unit.id());
  graph::v1::ListAuditRecordsRequest request;
  request.set_node_id(w.unit.id());
  graph::v1::ListAuditRecordsResponse audit;
  REQUIRE(w.nodes.ListAudit(w.anna, request, audit).ok());
  CHECK(audit.records(0).action() == "unit.reset-env");
  CHECK(audit.records(0).actor_id() == w.anna.user_id.ToString());
  for (const std::string& key : kSecret) {
    for (const json& env : {before, after}) {
      CHECK(audit.DebugString().find(env[key].get<std::string>()) == std::string::npos);
      CHECK(events[0].DebugString().find(env[key].get<std::string>()) == std::string::npos);
    }
  }
}

TEST_CASE("who may reset an env, and when nothing is reset", "[U4][A4]") {
  Envs w;
  const json before = w.Env();
  CHECK(absl::IsNotFound(w.Reset(w.berta)));
  CHECK(absl::IsNotFound(w.Reset({})));
  const auto grant = [&](graph::v1::Role role) {
    graph::v1::PutGrantRequest request;
    request.set_node_id(w.unit.id());
    request.set_subject_id(w.berta.user_id.ToString());
    request.set_role(role);
    graph::v1::Grant out;
    REQUIRE(w.nodes.PutGrant(w.anna, request, out).ok());
  };
  grant(graph::v1::ROLE_WRITER);
  CHECK(Reason(w.Reset(w.berta)) == "FORBIDDEN");
  rpc::Caller stale = w.anna;
  stale.if_match = "77";
  CHECK(Reason(w.Reset(stale)) == "VERSION_MISMATCH");
  w.secrets.down = true;
  CHECK(absl::IsUnavailable(w.Reset(w.anna)));
  w.secrets.down = false;
  graph::v1::Unit out;
  CHECK(Violations(w.units.ResetEnv(w.anna, "x", out)) == "id");
  CHECK(absl::IsNotFound(w.units.ResetEnv(w.anna, w.repo.id(), out)));
  CHECK(w.Env() == before);
  grant(graph::v1::ROLE_MAINTAINER);
  CHECK(w.Reset(w.berta).ok());
  CHECK(w.Env() != before);
}

TEST_CASE("resets and moves at once leave an env that fits its keys, its generation and its version", "[U4][U5][U8]") {
  Envs w;
  w.versions.Add("next", 'b', kSchema, R"({"WIFI_SSID": "", "ZONE": "hall"})");
  constexpr int kTurns = 6;
  std::atomic<int> resets = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      for (int turn = 0; turn < kTurns; ++turn) resets += w.Reset(w.anna).ok();
    });
  }
  threads.emplace_back([&] {
    for (int turn = 0; turn < kTurns; ++turn) {
      graph::v1::MoveUnitRequest request;
      request.set_id(w.unit.id());
      request.mutable_pin()->set_branch(turn % 2 ? "main" : "next");
      graph::v1::UnitMove move;
      (void)w.units.Move(w.anna, request, move);
    }
  });
  for (auto& thread : threads) thread.join();
  CHECK(resets > 0);
  const UnitSecrets secrets = w.Secrets();
  CHECK(secrets.token_generation == 1u + static_cast<std::uint32_t>(resets));
  const json env = w.Env();
  CHECK(env["PEPEUNIT_TOKEN"] == "token of " + w.unit.id() + " " + std::to_string(secrets.token_generation));
  CHECK(env["SYNC_ENCRYPT_KEY"] == Base64Encode(AsBytes(w.SyncKey())));
  CHECK(env.contains("ZONE") == (w.Now().version().branch() == "next"));
  CHECK(env.contains("LED") == (w.Now().version().branch() == "main"));
}

TEST_CASE("a move brings env.json up to date and leaves the values that stay", "[U4][U8][U9]") {
  Envs w;
  const bool on_record = GENERATE(true, false);
  if (!on_record) w.ForgetKeys();
  const json before = w.Env();
  w.versions.Add("next", 'b', kSchema,
                 R"({"LED": 5, "ZONE": "hall", "WIFI_PASS": null, "SECRET_KEY": "sample", "PEPEUNIT_URL": "sample"})");
  const auto preview = w.Move("next", true);
  CHECK(In(preview.env_added()) == Keys{"ZONE", "WIFI_PASS"});
  CHECK(In(preview.env_removed()) == Keys{"WIFI_SSID"});
  CHECK(w.Env() == before);
  // Names alone are told: nothing is opened for them when they are on record.
  CHECK((preview.DebugString().find("hall") == std::string::npos));

  const auto move = w.Move("next");
  CHECK(In(move.env_added()) == In(preview.env_added()));
  CHECK(In(move.env_removed()) == In(preview.env_removed()));
  json expected = before;
  expected.erase("WIFI_SSID");
  expected["ZONE"] = "hall";
  expected["WIFI_PASS"] = nullptr;
  CHECK(w.Env() == expected);  // LED keeps its 2, and the keys and the token are the same
  CHECK(w.Secrets().token_generation == 1);
  CHECK(w.Secrets().env_keys == Keys{"LED", "ZONE", "WIFI_PASS"});

  // Back again: what went comes with the sample's value.
  w.Move("main");
  CHECK(w.Env() == before);
}

TEST_CASE("what follows gets the keys of the new version, and nothing is opened when they are the same", "[U9][U5]") {
  Envs w;
  w.versions.Add("main", 'c', kSchema, R"({"WIFI_SSID": "other", "LED": 3})");
  const json before = w.Env();
  const int opened = w.secrets.opened;
  const auto preview = w.Move("", true);
  CHECK(preview.env_added().empty());
  CHECK(preview.env_removed().empty());
  w.secrets.down = true;  // a version with the same keys needs no crypto
  w.Follow();
  w.secrets.down = false;
  CHECK(w.secrets.opened == opened);
  CHECK(w.Now().version().commit() == std::string(40, 'c'));
  CHECK(w.Env() == before);

  w.versions.Add("main", 'd', kSchema, R"({"WIFI_SSID": "", "LED": 3, "ZONE": 1})");
  w.secrets.down = true;
  CHECK(absl::IsUnavailable(w.FollowAll(*Uuid::Parse(w.repo.id()))));
  CHECK(w.Now().version().commit() == std::string(40, 'c'));
  w.secrets.down = false;
  w.Follow();
  CHECK(w.Now().version().commit() == std::string(40, 'd'));
  json expected = before;
  expected["ZONE"] = 1;
  CHECK(w.Env() == expected);
}

TEST_CASE("a unit that could not follow says why, until it moves or the problem ends", "[U9][R3]") {
  Envs w;
  const auto pinned = w.Unit(w.anna, w.repo);
  graph::v1::MoveUnitRequest pin;
  pin.set_id(pinned.id());
  pin.mutable_pin()->set_branch("main");
  graph::v1::UnitMove move;
  REQUIRE(w.units.Move(w.anna, pin, move).ok());
  CHECK_FALSE(w.Now().has_follow_problem());
  const std::string version = w.Now().etag();

  w.versions.Add("main", 'e', "{\n\"output_variables\": {\"temp\": {\"type\": \"nunber\"}}}", "{}");
  w.Follow();
  auto problem = w.Now().follow_problem();
  CHECK(problem.reason() == graph::v1::FOLLOW_PROBLEM_REASON_INVALID_FILES);
  CHECK(problem.commit() == std::string(40, 'e'));
  REQUIRE(problem.problems_size() == 1);
  CHECK(problem.problems(0).file() == "schema.json");
  CHECK(problem.problems(0).line() == 2);
  CHECK(problem.problems(0).field() == "output_variables.temp.type");
  CHECK(problem.detail().find("schema.json:2") != std::string::npos);
  CHECK(problem.since().seconds() > 0);
  CHECK(w.Now().version().commit() == std::string(40, 'a'));
  CHECK_FALSE(w.store.GetUnit(*Uuid::Parse(pinned.id()))->has_follow_problem());
  // The same again is no news. Caches see that something is new, If-Match minds it not.
  w.Follow();
  CHECK(w.Now().follow_problem().since().nanos() == problem.since().nanos());
  CHECK(w.Now().etag() != version);
  rpc::Caller anna = w.anna;
  anna.if_match = version;
  graph::v1::UpdateUnitRequest rename;
  rename.set_id(w.unit.id());
  rename.set_name("renamed");
  graph::v1::Unit unit;
  CHECK(w.units.Update(anna, rename, unit) == absl::OkStatus());
  CHECK(unit.follow_problem().commit() == std::string(40, 'e'));

  w.versions.versions.erase("branch:main");
  w.Follow();
  CHECK(w.Now().follow_problem().reason() == graph::v1::FOLLOW_PROBLEM_REASON_BRANCH_GONE);
  CHECK(w.Now().follow_problem().problems().empty());
  CHECK(w.Now().follow_problem().detail().find("main") != std::string::npos);

  // The branch comes back to where the unit stands.
  w.versions.Add("main", 'a', kSchema, R"({"WIFI_SSID": "", "LED": 2})");
  w.Follow();
  CHECK_FALSE(w.Now().has_follow_problem());

  w.versions.Add("main", 'e', "{", "{}");
  w.Follow();
  CHECK(w.Now().has_follow_problem());
  w.versions.Add("main", 'f', kSchema, "{}");
  w.Follow();
  CHECK_FALSE(w.Now().has_follow_problem());
  CHECK(w.Now().version().commit() == std::string(40, 'f'));

  w.versions.Add("main", 'e', "{", "{}");
  w.Follow();
  CHECK(w.Now().has_follow_problem());
  w.versions.Add("stable", 'b', kSchema, "{}");
  w.Move("stable");  // by hand it follows no more
  CHECK_FALSE(w.Now().has_follow_problem());
}

TEST_CASE("a problem stays small, and its text is for who may see the repository", "[U9][A4]") {
  Envs w;
  std::string schema = "{\"output_variables\": {";
  for (int i = 0; i < 400; ++i)
    schema += (i ? ",\n" : "\n") + ("\"v" + std::to_string(i)) + "\": {\"type\": \"" + std::string(300, 'x') + "\"}";
  w.versions.Add("main", 'e', schema + "}}", "{}");
  w.Follow();
  CHECK(w.Now().follow_problem().problems_size() == 12);
  CHECK(w.Now().follow_problem().ByteSizeLong() < 6'000);
  CHECK(w.Now().follow_problem().detail().size() <= 512);

  graph::v1::UpdateUnitRequest open;
  open.set_id(w.unit.id());
  open.set_level(common::v1::ACCESS_LEVEL_PUBLIC);
  graph::v1::Unit unit;
  REQUIRE(w.units.Update(w.anna, open, unit).ok());
  REQUIRE(w.units.Get(w.berta, w.unit.id(), unit).ok());
  CHECK(unit.follow_problem().problems_size() == 12);
  graph::v1::UpdateRepoUnitRequest close;
  close.set_id(w.repo.id());
  close.set_level(common::v1::ACCESS_LEVEL_PRIVATE);
  graph::v1::RepoUnit repo;
  REQUIRE(w.repo_units.Update(w.anna, close, repo).ok());
  graph::v1::ListUnitsResponse list;
  REQUIRE(w.units.List(w.berta, {}, list).ok());
  REQUIRE(list.units_size() == 1);
  REQUIRE(w.units.Get(w.berta, w.unit.id(), unit).ok());
  for (const auto& seen : {list.units(0), unit}) {
    CHECK(seen.follow_problem().reason() == graph::v1::FOLLOW_PROBLEM_REASON_INVALID_FILES);
    CHECK(seen.follow_problem().problems().empty());
    CHECK(seen.follow_problem().detail().empty());
    CHECK(seen.follow_problem().commit().empty());
  }
  REQUIRE(w.units.Get(w.anna, w.unit.id(), unit).ok());
  CHECK(unit.follow_problem().problems_size() == 12);
}

TEST_CASE("one unit that cannot be moved holds up no other", "[U9]") {
  Envs w;
  const auto other = w.Unit(w.anna, w.repo);
  REQUIRE(w.pool.Transact("damage", [&](pqxx::work& tx) {
    tx.exec_params("UPDATE unit SET sealed_env = 'nonsense' WHERE id = $1", w.unit.id());
    return absl::OkStatus();
  }) == absl::OkStatus());
  w.versions.Add("main", 'd', kSchema, R"({"ZONE": 1})");
  w.Follow();
  CHECK(w.Now().version().commit() == std::string(40, 'a'));
  CHECK(w.Now().follow_problem().reason() == graph::v1::FOLLOW_PROBLEM_REASON_FAILED);
  CHECK(w.Now().follow_problem().detail().find("log") != std::string::npos);
  const auto moved = w.store.GetUnit(*Uuid::Parse(other.id()));
  REQUIRE(moved.ok());
  CHECK(moved->version().commit() == std::string(40, 'd'));
  CHECK_FALSE(moved->has_follow_problem());
}
