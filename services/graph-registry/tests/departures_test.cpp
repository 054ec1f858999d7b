#include <atomic>
#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <thread>

#include "world.h"

using namespace pepeunit;
using namespace pepeunit::graph_registry;

namespace {

// Anna, who goes, with all that a user can have; Berta, whose nodes touch hers; Carl, who may inherit.
struct Farewell : World {
  rpc::Caller root = User("root", true), anna = User("anna"), berta = User("berta"), carl = User("carl");
  graph::v1::RepoUnit annas_repo = Repo(anna), bertas_repo = Repo(berta);
  graph::v1::Unit annas_unit = Unit(anna, annas_repo), bertas_unit = Unit(berta, bertas_repo);
  graph::v1::Unit from_bertas = Unit(anna, bertas_repo);
  std::string from_berta, by_anna, of_anna;  // links

  Farewell() {
    Let(anna, annas_unit.id(), berta, graph::v1::ROLE_WRITER);
    Let(berta, bertas_unit.id(), anna, graph::v1::ROLE_WRITER);
    from_berta = Draw(berta, Variable(bertas_unit, "measured"), Variable(annas_unit, "wanted"))->id();
    by_anna = Draw(anna, Variable(bertas_unit, "measured"), Variable(bertas_unit, "wanted"))->id();
    of_anna = Draw(anna, Variable(annas_unit, "measured"), Variable(from_bertas, "wanted"))->id();
    graph::v1::PutGrantRequest unit_grant;
    unit_grant.set_node_id(bertas_unit.id());
    unit_grant.set_subject_kind(graph::v1::SUBJECT_KIND_UNIT);
    unit_grant.set_subject_id(annas_unit.id());
    unit_grant.set_role(graph::v1::ROLE_READER);
    graph::v1::Grant grant;
    REQUIRE(nodes.PutGrant(berta, unit_grant, grant) == absl::OkStatus());
    graph::v1::CreatePersonalTokenRequest token;
    token.set_name("thermostat");
    token.add_scopes(graph::v1::TOKEN_SCOPE_READ);
    token.mutable_expires_at()->set_seconds(NowMs() / 1000 + 3600);
    graph::v1::IssuedPersonalToken issued;
    REQUIRE(tokens.Create(anna, token, issued) == absl::OkStatus());
    const std::string id = "'" + anna.user_id.ToString() + "'";
    Sql("INSERT INTO identity (id, user_id, provider, issuer, subject, name) VALUES (gen_random_uuid(), " + id +
        ", 'memory', 'https://id.example', 's-0', 'Anna')");
    Sql("INSERT INTO idempotency VALUES (" + id + ", 'key', 'hash', gen_random_uuid())");
    Sql("INSERT INTO password_reset VALUES (" + id + ", 'hash', now() + interval '1 day')");
    Sql("INSERT INTO login_failure VALUES ('anna', 2, now())");
    Events();
    gate.changes.clear();
  }

  graph::v1::Link LinkOf(const rpc::Caller& viewer, const std::string& id) {
    graph::v1::Link link;
    REQUIRE(links.Get(viewer, id, link) == absl::OkStatus());
    return link;
  }
  absl::Status Delete(const rpc::Caller& by, const rpc::Caller& whom, graph::v1::NodesChoice nodes_choice,
                      const std::string& transfer_to = "", bool preview = false) {
    graph::v1::DeleteUserRequest request;
    request.set_id(whom.user_id.ToString());
    request.set_nodes(nodes_choice);
    request.set_transfer_to(transfer_to);
    request.set_preview(preview);
    deletion.Clear();
    return departures.Delete(by, request, deletion);
  }
  absl::Status DeleteCurrent(const rpc::Caller& who, const std::string& password,
                             graph::v1::NodesChoice nodes_choice = graph::v1::NODES_CHOICE_DELETE,
                             const std::string& transfer_to = "") {
    graph::v1::DeleteCurrentUserRequest request;
    request.set_current_password(password);
    request.set_nodes(nodes_choice);
    request.set_transfer_to(transfer_to);
    return departures.DeleteCurrent(who, request, deletion);
  }
  graph::v1::UserDeletion deletion;
};

constexpr auto kDelete = graph::v1::NODES_CHOICE_DELETE, kTransfer = graph::v1::NODES_CHOICE_TRANSFER;

}  // namespace

TEST_CASE("a preview of a deletion counts what would go, and changes nothing", "[A5]") {
  Farewell w;
  const std::int64_t records = w.Count("audit");
  REQUIRE(w.Delete(w.root, w.anna, kDelete, "", true) == absl::OkStatus());
  CHECK(w.deletion.preview());
  CHECK(w.deletion.repo_units() == 1);
  CHECK(w.deletion.units() == 2);
  CHECK(w.deletion.deleted_links() == 2);
  CHECK(w.deletion.suspended_links() == 1);
  CHECK(w.deletion.grants() == 2);
  CHECK(w.deletion.units_of_others() == 0);
  REQUIRE(w.Delete(w.root, w.anna, kTransfer, w.carl.user_id.ToString(), true) == absl::OkStatus());
  CHECK(w.deletion.deleted_links() == 0);
  CHECK(w.deletion.suspended_links() == 2);
  CHECK(w.deletion.grants() == 1);
  CHECK(w.Count("audit") == records);
  CHECK(w.Count("account") == 4);
  CHECK(w.Events().empty());
}

TEST_CASE("a user who is deleted with his nodes leaves the audit and nothing else", "[A5][U11]") {
  Farewell w;
  const std::string anna = w.anna.user_id.ToString();
  const auto removed = w.store.ListVariables(*Uuid::Parse(w.annas_unit.id()), {});
  REQUIRE(removed.ok());
  REQUIRE(w.Delete(w.root, w.anna, kDelete) == absl::OkStatus());
  // Links that he drew between nodes of others name him still, and the feed tells for a day who and what is gone.
  CHECK(w.TablesWith(anna) == "audit graph_change link");
  CHECK(w.TablesWith(w.annas_unit.id()) == "audit graph_change outbox");
  CHECK(w.TablesWith(w.from_bertas.id()) == "audit graph_change outbox");
  CHECK(w.TablesWith(w.annas_repo.id()) == "audit graph_change outbox");
  CHECK(w.Count("login_failure") == 0);
  CHECK(w.Count("link") == 1);
  CHECK(w.Count("unit") == 1);
  CHECK_FALSE(w.people.FindCaller(w.anna.user_id, w.anna.session_id).ok());
  CHECK(w.people.FindCaller(w.berta.user_id, w.berta.session_id).ok());
  for (const auto& [action, count] : std::map<std::string, int>{
           {"user.delete", 1}, {"unit.delete", 2}, {"repo_unit.delete", 1}, {"grant.delete", 2}}) {
    CAPTURE(action);
    CHECK(w.Count("audit WHERE action = '" + action + "' AND actor_id = '" + w.root.user_id.ToString() + "'") == count);
  }
  const auto link = w.LinkOf(w.berta, w.by_anna);
  CHECK(link.state() == graph::v1::LINK_STATE_SUSPENDED);
  CHECK(link.suspended_reason() == graph::v1::SUSPENDED_REASON_CREATOR_GONE);

  std::map<std::string, bus::v1::UnitChanged> units;
  bool repo_deleted = false, suspended = false;
  for (const auto& event : w.Events()) {
    const auto& repo = event.repo_unit_changed();
    repo_deleted = repo_deleted || (repo.deleted() && repo.repo_unit_id() == w.annas_repo.id());
    if (!event.has_unit_changed()) continue;
    for (const auto& id : event.unit_changed().suspended_link_ids()) suspended = suspended || id == w.by_anna;
    units[event.unit_changed().unit_id()] = event.unit_changed();
  }
  CHECK(repo_deleted);
  CHECK(suspended);
  CHECK(units.size() == 3);
  CHECK(units[w.annas_unit.id()].deleted());
  CHECK(units[w.annas_unit.id()].removed_variable_ids_size() == static_cast<int>(removed->size()));
  CHECK(units[w.from_bertas.id()].deleted());
  CHECK(units[w.bertas_unit.id()].profile_version() > 0);
  CHECK_FALSE(units[w.bertas_unit.id()].deleted());
  CHECK(w.gate.changes.size() >= 3);
}

TEST_CASE("nodes that are transferred stay as they are, with another owner", "[A5][R10]") {
  Farewell w;
  const auto foreign = w.Unit(w.berta, w.annas_repo);
  CHECK(Reason(w.Delete(w.root, w.anna, kDelete)) == "IN_USE");
  CHECK(w.Delete(w.root, w.anna, kDelete).message().substr(0, 2) == "1 ");
  CHECK(w.Count("account") == 4);
  CHECK(w.people.FindCaller(w.anna.user_id, w.anna.session_id).ok());
  w.Events();
  const std::string anna = w.anna.user_id.ToString(), carl = w.carl.user_id.ToString();
  REQUIRE(w.Delete(w.root, w.anna, kTransfer, carl) == absl::OkStatus());
  CHECK(w.deletion.units_of_others() == 1);
  CHECK(w.TablesWith(anna) == "audit graph_change link node_grant");  // also as who gave Berta her role
  CHECK(w.Count("node WHERE owner_id = '" + anna + "'") == 0);
  graph::v1::Unit unit;
  REQUIRE(w.units.Get(w.carl, w.annas_unit.id(), unit) == absl::OkStatus());
  CHECK(unit.owner_id() == carl);
  CHECK(unit.etag() != w.annas_unit.etag());
  CHECK(w.Count("node WHERE parent_id = '" + unit.id() + "' AND owner_id = '" + carl + "'") == 6);
  CHECK(w.Count("audit WHERE action = 'node.transfer' AND owner_id = '" + carl + "' AND details->>'from' = '" + anna +
                "'") == 3);
  // Berta's link into what is Carl's now lives by her own right; Anna's have nobody behind them any more.
  CHECK(w.LinkOf(w.berta, w.from_berta).state() == graph::v1::LINK_STATE_ACTIVE);
  CHECK(w.LinkOf(w.carl, w.of_anna).suspended_reason() == graph::v1::SUSPENDED_REASON_CREATOR_GONE);
  std::map<std::string, int> told;
  bool suspended = false;
  for (const auto& event : w.Events()) {
    told[event.unit_changed().unit_id()]++;
    CHECK_FALSE(event.unit_changed().deleted());
    for (const auto& id : event.unit_changed().suspended_link_ids()) suspended = suspended || id == w.of_anna;
  }
  CHECK(suspended);
  CHECK(told[w.annas_unit.id()] >= 1);
  CHECK(told[w.from_bertas.id()] >= 1);
  CHECK(told[w.bertas_unit.id()] >= 1);
}

TEST_CASE("who goes says so with his password, and says what becomes of his nodes", "[A5]") {
  Farewell w;
  CHECK(Violations(w.DeleteCurrent(w.anna, "x", graph::v1::NODES_CHOICE_UNSPECIFIED)) == "nodes");
  CHECK(Violations(w.DeleteCurrent(w.anna, "")) == "current_password");
  CHECK(Reason(w.DeleteCurrent(w.anna, "wrong")) == "BAD_CREDENTIALS");
  rpc::Caller token = w.anna;
  token.reach = rpc::Caller::Reach::kManage;
  CHECK(Reason(w.DeleteCurrent(token, "password of anna")) == "FORBIDDEN");
  CHECK(Reason(w.DeleteCurrent({}, "password of anna")) == "UNAUTHENTICATED");
  const std::string berta = w.berta.user_id.ToString();
  CHECK(Violations(w.DeleteCurrent(w.anna, "x", kDelete, berta)) == "transfer_to");
  CHECK(Violations(w.DeleteCurrent(w.anna, "x", kTransfer, w.anna.user_id.ToString())) == "transfer_to");
  // Hidden, absent, blocked, or no user at all: alike.
  w.Sql("UPDATE node SET level = 1 WHERE name = 'carl'");
  w.Sql("UPDATE account SET blocked = true WHERE login = 'berta'");
  std::set<std::string> answers;
  for (const std::string& heir : {w.carl.user_id.ToString(), Uuid::New().ToString(), berta, w.annas_repo.id()}) {
    const absl::Status status = w.DeleteCurrent(w.anna, "password of anna", kTransfer, heir);
    CHECK(Violations(status) == "transfer_to");
    answers.emplace(status.message());
  }
  CHECK(answers.size() == 1);
  CHECK(w.Count("account") == 4);
  REQUIRE(w.DeleteCurrent(w.anna, "password of anna") == absl::OkStatus());
  CHECK(w.Count("account WHERE login = 'anna'") == 0);
  // Who signs in elsewhere has no password to say.
  w.Sql("UPDATE account SET password_hash = '', blocked = false WHERE login = 'berta'");
  CHECK(w.DeleteCurrent(w.berta, "") == absl::OkStatus());
  CHECK(w.TablesWith("password of") == "account");
}

TEST_CASE("administrators delete others, but never the last of them", "[A5]") {
  Farewell w;
  CHECK(Reason(w.Delete(w.berta, w.anna, kDelete)) == "FORBIDDEN");
  CHECK(absl::IsNotFound(w.Delete({}, w.anna, kDelete)));
  rpc::Caller token = w.root;
  token.reach = rpc::Caller::Reach::kManage;
  CHECK(Reason(w.Delete(token, w.anna, kDelete)) == "FORBIDDEN");
  CHECK(Violations(w.Delete(w.root, w.root, kDelete)) == "id");
  CHECK(Reason(w.DeleteCurrent(w.root, "password of root")) == "LAST_ADMINISTRATOR");
  const rpc::Caller second = w.User("second", true);
  absl::Status first_status, second_status;
  std::thread other([&] { second_status = w.Delete(second, w.root, kDelete); });
  first_status = w.Delete(w.root, second, kDelete);
  other.join();
  CHECK(first_status.ok() != second_status.ok());
  const std::string reason = Reason(first_status.ok() ? second_status : first_status);
  CHECK((reason == "LAST_ADMINISTRATOR" || reason == "NOT_FOUND"));
  CHECK(w.Count("account WHERE administrator") == 1);
}

TEST_CASE("what a user makes at the moment of his deletion goes with him or is not made", "[A5]") {
  std::atomic<int> made = 0;
  for (int round = 0; round < 5; ++round) {
    Farewell w;
    std::thread maker([&] {
      for (int i = 0; i < 200; ++i) {
        graph::v1::CreateUnitRequest request;
        request.set_repo_unit_id(w.bertas_repo.id());
        request.set_name("late");
        graph::v1::Unit unit;
        if (!w.units.Create(w.anna, request, unit).ok()) break;
        ++made;
      }
    });
    for (const int before = made; made <= before + round;) std::this_thread::yield();
    const absl::Status status = w.Delete(w.root, w.anna, kDelete);
    maker.join();
    REQUIRE(status == absl::OkStatus());
    CHECK(w.Count("node WHERE owner_id = '" + w.anna.user_id.ToString() + "'") == 0);
  }
  CHECK(made < 5 * 200);  // each deletion came while he still made some
}

TEST_CASE("a user with ten thousand nodes is deleted, or handed over", "[A5]") {
  Farewell w;
  const auto fill = [&](const rpc::Caller& owner) {
    const std::string id = "'" + owner.user_id.ToString() + "'::uuid";
    w.Sql("WITH made AS (INSERT INTO node (id, type, owner_id, name, level) SELECT gen_random_uuid(), " +
          std::to_string(graph::v1::NODE_TYPE_UNIT) + ", " + id +
          ", 'bulk', 1 FROM generate_series(1, 2000) RETURNING id)"
          " INSERT INTO unit (id, repo_unit_id, commit_id, tag, branch, follow, sealed_sync_key, sealed_env)"
          " SELECT id, '" +
          w.bertas_repo.id() + "', '', '', '', true, '', '' FROM made");
    w.Sql("INSERT INTO node (id, type, parent_id, owner_id, name, level) SELECT gen_random_uuid(), " +
          std::to_string(graph::v1::NODE_TYPE_OUTPUT_VARIABLE) + ", n.id, " + id +
          ", 'v' || i, 1 FROM node n, generate_series(1, 4) i WHERE n.name = 'bulk' AND n.owner_id = " + id);
    w.Sql(
        "INSERT INTO variable (id, unit_id, kind, name, position, definition) SELECT id, parent_id, 4, name, 1, ''"
        " FROM node WHERE name ~ '^v[1-4]$' AND owner_id = " +
        id + " ON CONFLICT DO NOTHING");
  };
  fill(w.anna);
  REQUIRE(w.Count("node WHERE owner_id = '" + w.anna.user_id.ToString() + "'") > 10'000);
  REQUIRE(w.Delete(w.root, w.anna, kTransfer, w.carl.user_id.ToString()) == absl::OkStatus());
  CHECK(w.Count("node WHERE name = 'bulk' AND owner_id = '" + w.carl.user_id.ToString() + "'") == 2000);
  CHECK(w.Events().size() >= 2000);
  REQUIRE(w.Delete(w.root, w.carl, kDelete) == absl::OkStatus());
  CHECK(w.Count("node WHERE name = 'bulk'") == 0);
  CHECK(w.Events().size() >= 2000);
  CHECK(w.Count("audit WHERE action = 'unit.delete' AND node_name = 'bulk'") == 2000);
}
