#include <catch2/catch.hpp>
#include <thread>

#include "world.h"

using namespace pepeunit;
using namespace pepeunit::graph_registry;

namespace {

// The domain on a store with narrow quotas, beside the world's own.
struct Narrow {
  World w;
  PostgresStore store{w.pool, nullptr, nullptr, {.repo_units = 2, .units = 3}};
  RepoUnits repo_units{store, w.secrets, w.versions, {}};
  Units units{store, w.secrets, w.versions, w.values, w.inputs, "http://device:8081"};

  absl::Status AddRepo(const rpc::Caller& caller, const std::string& url = "https://example.org/a.git") {
    graph::v1::CreateRepoUnitRequest request;
    request.set_name("firmware");
    request.set_url(url);
    graph::v1::RepoUnit repo;
    return repo_units.Create(caller, request, repo);
  }

  absl::Status AddUnit(const rpc::Caller& caller, const graph::v1::RepoUnit& repo) {
    graph::v1::CreateUnitRequest request;
    request.set_repo_unit_id(repo.id());
    request.set_name("unit");
    graph::v1::Unit unit;
    return units.Create(caller, request, unit);
  }
};

}  // namespace

TEST_CASE("what one user may own is bounded, but for administrators", "[A5][R1][U2]") {
  Narrow n;
  const rpc::Caller anna = n.w.User("anna"), ben = n.w.User("ben"), admin = n.w.User("boss", true);
  rpc::Caller again = anna;
  again.idempotency_key = "once";
  REQUIRE(n.AddRepo(again).ok());
  REQUIRE(n.AddRepo(anna).ok());
  const absl::Status refused = n.AddRepo(anna);
  CHECK(Reason(refused) == "LIMIT");
  CHECK(absl::IsResourceExhausted(refused));
  CHECK(n.AddRepo(again).ok());  // was made before
  CHECK(n.AddRepo(ben).ok());
  for (int i = 0; i < 4; ++i) CHECK(n.AddRepo(admin).ok());

  const auto repo = n.w.Repo(ben);
  for (int i = 0; i < 3; ++i) REQUIRE(n.AddUnit(anna, repo).ok());
  CHECK(Reason(n.AddUnit(anna, repo)) == "LIMIT");
  CHECK(n.AddUnit(ben, repo).ok());
  for (int i = 0; i < 5; ++i) CHECK(n.AddUnit(admin, repo).ok());
}

TEST_CASE("the variables of all units of a user are bounded, whether units are made or moved", "[A5][U2]") {
  Narrow n;
  const rpc::Caller anna = n.w.User("anna"), admin = n.w.User("boss", true);
  const auto repo = n.w.Repo(anna);  // each unit has 6 variables
  PostgresStore store(n.w.pool, nullptr, nullptr, {.repo_units = 2, .units = 30, .variables = 13});
  Units units(store, n.w.secrets, n.w.versions, n.w.values, n.w.inputs, "http://device:8081");
  graph::v1::CreateUnitRequest request;
  request.set_repo_unit_id(repo.id());
  request.set_name("unit");
  graph::v1::Unit unit;
  REQUIRE(units.Create(anna, request, unit) == absl::OkStatus());
  REQUIRE(units.Create(anna, request, unit) == absl::OkStatus());
  CHECK(Reason(units.Create(anna, request, unit)) == "LIMIT");
  for (int i = 0; i < 3; ++i) CHECK(units.Create(admin, request, unit) == absl::OkStatus());

  n.w.versions.Add("larger", 'b',
                   R"({"output_variables": {"a": {"type": "number"}, "b": {"type": "number"}, "c": {"type":
    "number"}, "d": {"type": "number"}, "e": {"type": "number"}, "f": {"type": "number"}, "g": {"type": "number"},
    "h": {"type": "number"}}})",
                   "{}");
  graph::v1::ListUnitsRequest list;
  graph::v1::ListUnitsResponse listed;
  REQUIRE(units.List(anna, list, listed) == absl::OkStatus());
  graph::v1::MoveUnitRequest move;
  graph::v1::UnitMove moved;
  move.set_id(listed.units(0).id());
  move.mutable_pin()->set_branch("larger");
  CHECK(Reason(units.Move(anna, move, moved)) == "LIMIT");
  move.set_preview(true);  // says the same
  CHECK(Reason(units.Move(anna, move, moved)) == "LIMIT");
  move.set_preview(false);
  n.w.versions.Add("smaller", 'c', R"({"output_variables": {"a": {"type": "number"}}})", "{}");
  move.mutable_pin()->set_branch("smaller");
  CHECK(units.Move(anna, move, moved) == absl::OkStatus());
}

TEST_CASE("units that are made at once do not pass the quota", "[A5]") {
  Narrow n;
  const rpc::Caller anna = n.w.User("anna");
  const auto repo = n.w.Repo(n.w.User("ben"));
  std::atomic<int> made = 0, limited = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&] {
      const absl::Status status = n.AddUnit(anna, repo);
      ++(status.ok() ? made : limited);
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(made == 3);
  CHECK(limited == 3);
  CHECK(n.w.Count("unit") == 3);
}

TEST_CASE("a private repository is shown to nobody unless asked for", "[R1][A4]") {
  World w;
  graph::v1::CreateRepoUnitRequest request;
  request.set_name("firmware");
  request.set_url("https://example.org/a.git");
  request.set_private_(true);
  request.mutable_credentials()->set_password("secret");
  graph::v1::RepoUnit repo;
  REQUIRE(w.repo_units.Create(w.User("anna"), request, repo).ok());
  CHECK(repo.level() == common::v1::ACCESS_LEVEL_PRIVATE);
  request.set_level(common::v1::ACCESS_LEVEL_INSTANCE);
  REQUIRE(w.repo_units.Create(w.User("ben"), request, repo).ok());
  CHECK(repo.level() == common::v1::ACCESS_LEVEL_INSTANCE);
}
