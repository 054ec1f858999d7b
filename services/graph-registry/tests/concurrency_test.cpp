#include <algorithm>
#include <catch2/catch.hpp>
#include <thread>

#include "world.h"

// Changes of the same nodes at the same moment, on the real storage.
using namespace pepeunit;
using namespace pepeunit::graph_registry;
using namespace pepeunit::common::v1;

namespace {

// Runs all at once and returns what each said.
std::vector<absl::Status> AtOnce(const std::vector<std::function<absl::Status()>>& calls) {
  std::vector<absl::Status> statuses(calls.size());
  std::atomic<std::size_t> ready = 0;
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    threads.emplace_back([&, i] {
      ++ready;
      while (ready < calls.size()) std::this_thread::yield();
      statuses[i] = calls[i]();
    });
  }
  for (auto& thread : threads) thread.join();
  return statuses;
}

std::size_t Succeeded(const std::vector<absl::Status>& statuses) {
  return static_cast<std::size_t>(
      std::count_if(statuses.begin(), statuses.end(), [](const auto& status) { return status.ok(); }));
}

struct Crowd : World {
  rpc::Caller anna = User("anna"), berta = User("berta");
  graph::v1::RepoUnit repo = Repo(anna);
  graph::v1::Unit unit = Unit(anna, repo), other = Unit(anna, repo);

  Crowd() {
    for (const std::string& node : {repo.id(), unit.id()}) Let(anna, node, berta, graph::v1::ROLE_MAINTAINER);
  }
  absl::Status Join(const std::string& output, const std::string& input) {
    graph::v1::CreateLinkRequest request;
    request.set_type(graph::v1::LINK_TYPE_WRITE);
    request.set_output_id(output);
    request.set_input_id(input);
    graph::v1::Link link;
    return links.Create(anna, request, link);
  }
};

}  // namespace

TEST_CASE("of two maintainers who change what both read, exactly one wins", "[A3][R9][U9]") {
  Crowd w;
  w.versions.Add("next", 'b', kSchema, "{}");
  using Change = std::function<absl::Status(const rpc::Caller&, const std::string&)>;
  const std::string input = w.Variable(w.unit, "wanted");
  const auto unit_etag = [&] { return w.store.GetUnit(*Uuid::Parse(w.unit.id()))->etag(); };
  const auto repo_etag = [&] { return w.store.GetRepoUnit(*Uuid::Parse(w.repo.id()))->etag(); };
  const auto input_etag = [&] { return w.store.GetVariable(*Uuid::Parse(input), {})->variable.etag(); };
  const struct {
    const char* what;
    std::function<std::string()> etag;
    Change change;
  } cases[] = {{"a unit's name", unit_etag,
                [&](const rpc::Caller& who, const std::string& name) {
                  graph::v1::UpdateUnitRequest request;
                  request.set_id(w.unit.id());
                  request.set_name(name);
                  graph::v1::Unit out;
                  return w.units.Update(who, request, out);
                }},
               {"a unit's version", unit_etag,
                [&](const rpc::Caller& who, const std::string&) {
                  const auto now = w.store.GetUnit(*Uuid::Parse(w.unit.id()));
                  graph::v1::MoveUnitRequest request;
                  request.set_id(w.unit.id());
                  request.mutable_pin()->set_branch(now->version().branch() == "main" ? "next" : "main");
                  graph::v1::UnitMove out;
                  return w.units.Move(who, request, out);
                }},
               {"a unit's keys", unit_etag,
                [&](const rpc::Caller& who, const std::string&) {
                  graph::v1::Unit out;
                  return w.units.ResetEnv(who, w.unit.id(), out);
                }},
               {"a unit's level", unit_etag,
                [&](const rpc::Caller& who, const std::string&) {
                  graph::v1::SetNodeLevelRequest request;
                  request.set_id(w.unit.id());
                  request.set_level(ACCESS_LEVEL_INSTANCE);
                  graph::v1::LevelChange out;
                  return w.nodes.SetLevel(who, request, out);
                }},
               {"a repository", repo_etag,
                [&](const rpc::Caller& who, const std::string& name) {
                  graph::v1::UpdateRepoUnitRequest request;
                  request.set_id(w.repo.id());
                  request.set_name(name);
                  graph::v1::RepoUnit out;
                  return w.repo_units.Update(who, request, out);
                }},
               {"an input", input_etag, [&](const rpc::Caller& who, const std::string& name) {
                  graph::v1::UpdateVariableRequest request;
                  request.set_id(input);
                  request.set_accepts_links(name.back() % 2 == 0);
                  graph::v1::Variable out;
                  return w.units.UpdateVariable(who, request, out);
                }}};
  for (const auto& one : cases) {
    for (int turn = 0; turn < 5; ++turn) {
      INFO(one.what);
      std::vector<std::function<absl::Status()>> calls;
      for (int i = 0; i < 4; ++i) {
        rpc::Caller who = i % 2 ? w.anna : w.berta;
        who.if_match = one.etag();
        calls.push_back([&one, who, i] { return one.change(who, "name " + std::to_string(i)); });
      }
      const auto statuses = AtOnce(calls);
      CHECK(Succeeded(statuses) == 1);
      for (const auto& status : statuses) {
        INFO(status);
        CHECK((status.ok() || Reason(status) == "VERSION_MISMATCH"));
      }
    }
  }
}

TEST_CASE("a repository that moves its followers spares who is deleted or pinned meanwhile", "[U8][U9][U11]") {
  Crowd w;
  w.versions.Add("stable", 'b', kSchema, R"({"ZONE": "stable"})");
  for (int turn = 0; turn < 4; ++turn) {
    std::vector<graph::v1::Unit> units;
    for (int i = 0; i < 6; ++i) units.push_back(w.Unit(w.anna, w.repo));
    w.versions.Add("main", static_cast<char>('c' + turn), kSchema,
                   R"({"ROUND": )" + std::to_string(turn) + R"(, "K)" + std::to_string(turn) + R"(": 1})");
    const auto statuses = AtOnce({[&] { return w.FollowAll(*Uuid::Parse(w.repo.id())); },
                                  [&] { return w.units.Delete(w.anna, units[0].id()); },
                                  [&] {
                                    graph::v1::MoveUnitRequest request;
                                    request.set_id(units[5].id());
                                    request.mutable_pin()->set_branch("stable");
                                    graph::v1::UnitMove move;
                                    return w.units.Move(w.anna, request, move);
                                  }});
    for (const auto& status : statuses) CHECK(status == absl::OkStatus());
    CHECK(absl::IsNotFound(w.store.GetUnit(*Uuid::Parse(units[0].id())).status()));
    for (std::size_t i = 1; i < units.size(); ++i) {
      const auto now = w.store.GetUnit(*Uuid::Parse(units[i].id()));
      REQUIRE(now.ok());
      CHECK(now->version().branch() == (i == 5 ? "stable" : "main"));
      CHECK(now->version().commit() == std::string(40, i == 5 ? 'b' : static_cast<char>('c' + turn)));
      CHECK_FALSE(now->has_follow_problem());
      // Its env is that of the version it stands at.
      const auto secrets = w.store.GetUnitSecrets(*Uuid::Parse(units[i].id()));
      const std::string env = *w.secrets.OpenEnv(*Uuid::Parse(units[i].id()), secrets->sealed_env);
      CHECK((env.find("ZONE") != std::string::npos) == (i == 5));
      CHECK((env.find("\"K" + std::to_string(turn) + '"') != std::string::npos) == (i != 5));
    }
  }
}

TEST_CASE("a link that is drawn while an end of it is deleted is there with both ends or not at all", "[G2][U11]") {
  Crowd w;
  for (int turn = 0; turn < 12; ++turn) {
    const auto source = w.Unit(w.anna, w.repo), target = w.Unit(w.anna, w.repo);
    const std::string output = w.Variable(source, "measured"), input = w.Variable(target, "wanted");
    const auto& gone = turn % 2 ? source : target;
    const auto statuses =
        AtOnce({[&] { return w.Join(output, input); }, [&] { return w.units.Delete(w.anna, gone.id()); }});
    INFO(statuses[0]);
    CHECK((statuses[0].ok() || absl::IsNotFound(statuses[0])));
    CHECK(statuses[1] == absl::OkStatus());
    CHECK(w.Count("link") == 0);
    CHECK(w.Count("variable WHERE unit_id = '" + gone.id() + "'") == 0);
  }
}

TEST_CASE("a unit that is made while its repository is deleted keeps it, or is not made", "[R10]") {
  Crowd w;
  for (int turn = 0; turn < 12; ++turn) {
    const auto repo = w.Repo(w.anna);
    graph::v1::CreateUnitRequest request;
    request.set_repo_unit_id(repo.id());
    request.set_name("unit");
    graph::v1::Unit unit;
    const auto statuses = AtOnce({[&] { return w.units.Create(w.anna, request, unit); },
                                  [&] { return w.repo_units.Delete(w.anna, repo.id()); }});
    CHECK(Succeeded(statuses) == 1);
    CHECK((statuses[0].ok() ? Reason(statuses[1]) == "IN_USE" : absl::IsNotFound(statuses[0])));
  }
}

TEST_CASE("a role that a unit gets while it is deleted goes with it", "[U11][A4]") {
  Crowd w;
  for (int turn = 0; turn < 12; ++turn) {
    const auto gone = w.Unit(w.anna, w.repo);
    graph::v1::PutGrantRequest request;
    request.set_node_id(w.other.id());
    request.set_subject_id(gone.id());
    request.set_subject_kind(graph::v1::SUBJECT_KIND_UNIT);
    request.set_role(graph::v1::ROLE_READER);
    AtOnce({[&] {
              graph::v1::Grant grant;
              return w.nodes.PutGrant(w.anna, request, grant);
            },
            [&] { return w.units.Delete(w.anna, gone.id()); }});
    CHECK(w.Count("node_grant WHERE subject_id = '" + gone.id() + "'") == 0);
  }
}

TEST_CASE("one idempotency key makes one node, also for requests at the same time", "[U2][R1]") {
  Crowd w;
  for (int turn = 0; turn < 5; ++turn) {
    rpc::Caller anna = w.anna;
    anna.idempotency_key = "key-" + std::to_string(turn);
    graph::v1::CreateUnitRequest request;
    request.set_repo_unit_id(w.repo.id());
    request.set_name("once");
    const std::int64_t before = w.Count("unit");
    std::vector<graph::v1::Unit> made(4);
    std::vector<std::function<absl::Status()>> calls;
    for (auto& unit : made) calls.push_back([&] { return w.units.Create(anna, request, unit); });
    for (const auto& status : AtOnce(calls)) CHECK(status == absl::OkStatus());
    for (const auto& unit : made) CHECK(unit.id() == made[0].id());
    CHECK(w.Count("unit") == before + 1);
    graph::v1::Unit unit;
    request.set_name("another");
    CHECK(Reason(w.units.Create(anna, request, unit)) == "IDEMPOTENCY_MISMATCH");
    CHECK(w.Count("unit") == before + 1);
  }
  // What names a node that may be gone by then does not stay.
  REQUIRE(w.store.ForgetIdempotencyKeys().ok());
  CHECK(w.Count("idempotency") == 5);
  REQUIRE(w.pool.Transact("age", [](pqxx::work& tx) {
    tx.exec("UPDATE idempotency SET created_at = now() - interval '25 hours' WHERE key <> 'key-0'");
    return absl::OkStatus();
  }) == absl::OkStatus());
  CHECK(*w.store.ForgetIdempotencyKeys() == 4);
  CHECK(w.Count("idempotency") == 1);
}

TEST_CASE("links that go while both of their ends change wait for each other, and never in a circle", "[G5][U11]") {
  Crowd w;
  const auto deadlocks = [&] {
    w.Sql("SELECT pg_stat_clear_snapshot()");
    return w.Count("pg_stat_database, generate_series(1, deadlocks) WHERE datname = current_database()");
  };
  const std::int64_t before = deadlocks();
  w.versions.Add("bare", 'b', R"({"input_variables": {}, "output_variables": {}})", "{}");
  const auto move = [&](const graph::v1::Unit& unit, const std::string& branch) {
    graph::v1::MoveUnitRequest request;
    request.set_id(unit.id());
    if (branch.empty())
      request.set_follow(true);
    else
      request.mutable_pin()->set_branch(branch);
    graph::v1::UnitMove out;
    return w.units.Move(w.anna, request, out);
  };
  int deleted = 0;
  for (int round = 0; round < 30; ++round) {
    REQUIRE(w.Join(w.Variable(w.unit, "measured"), w.Variable(w.other, "wanted")).ok());
    REQUIRE(w.Join(w.Variable(w.other, "measured"), w.Variable(w.unit, "wanted")).ok());
    graph::v1::ListLinksRequest list;
    graph::v1::ListLinksResponse drawn;
    REQUIRE(w.links.List(w.anna, list, drawn) == absl::OkStatus());
    REQUIRE(drawn.links_size() == 2);
    std::vector<std::function<absl::Status()>> calls;
    for (const auto& link : drawn.links()) {
      calls.emplace_back([&w, id = link.id()] { return w.links.Delete(w.anna, id); });
    }
    for (const auto* unit : {&w.unit, &w.other}) calls.emplace_back([&move, unit] { return move(*unit, "bare"); });
    const auto statuses = AtOnce(calls);
    // Whoever comes second finds nothing more.
    for (const auto& status : {statuses[0], statuses[1]}) {
      CHECK((status.ok() || absl::IsNotFound(status)));
      deleted += status.ok();
    }
    CHECK((statuses[2].ok() && statuses[3].ok()));
    CHECK(w.Count("link") == 0);
    for (const auto* unit : {&w.unit, &w.other}) REQUIRE(move(*unit, "") == absl::OkStatus());
  }
  CHECK(deleted > 0);
  // A connection tells the statistics at most once a second.
  std::this_thread::sleep_for(std::chrono::milliseconds(1'500));
  CHECK(deadlocks() == before);
  // That the measure would have shown one: two who lock in a circle.
  const auto cross = [&](const std::string& first, const std::string& second) {
    return w.pool.Transact("cross", [&](pqxx::work& tx) {
      tx.exec_params("SELECT 1 FROM node WHERE id = $1 FOR UPDATE", first);
      tx.exec("SELECT pg_sleep(0.2)");
      tx.exec_params("SELECT 1 FROM node WHERE id = $1 FOR UPDATE", second);
      return absl::OkStatus();
    });
  };
  (void)AtOnce({[&] { return cross(w.unit.id(), w.other.id()); }, [&] { return cross(w.other.id(), w.unit.id()); }});
  for (int i = 0; i < 100 && deadlocks() == before; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  CHECK(deadlocks() > before);
}
