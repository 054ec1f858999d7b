#include <catch2/catch.hpp>
#include <thread>

#include "world.h"

// What lets somebody goes while his change is on its way: it is asked again in the transaction of the change.
using namespace pepeunit;
using namespace pepeunit::graph_registry;
using namespace pepeunit::common::v1;

namespace {

struct Late : World {
  rpc::Caller anna = User("anna"), berta = User("berta");
  graph::v1::RepoUnit repo = Repo(anna, ACCESS_LEVEL_PRIVATE);
  graph::v1::Unit unit = Unit(anna, repo);
  std::string input = Variable(unit, "wanted"), output = Variable(unit, "measured");

  Late() { versions.Add("next", 'b', kSchema, "{}"); }

  graph::v1::CreateLinkRequest LinkRequest() const {
    graph::v1::CreateLinkRequest request;
    request.set_type(graph::v1::LINK_TYPE_WRITE);
    request.set_output_id(output);
    request.set_input_id(input);
    return request;
  }
  std::string Draw() {
    graph::v1::Link link;
    if (drawn.empty()) {
      REQUIRE(links.Create(anna, LinkRequest(), link) == absl::OkStatus());
      drawn = link.id();
    }
    return drawn;
  }
  std::string drawn;
  bool SomebodyWaits() {
    return *pool.Query<bool>("waits", [&](pqxx::work& tx) -> absl::StatusOr<bool> {
      return !tx.exec_params("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = $1",
                             "pepeunit-" + schema)
                  .empty();
    });
  }
  // Takes the roles away from berta while `change` has decided already and not begun to write.
  absl::Status WhileRolesGo(const std::function<absl::Status()>& change) {
    absl::Status status;
    auto connection = pool.Connect(&status);
    REQUIRE(connection);
    pqxx::work tx(*connection);
    tx.exec("SET LOCAL search_path TO " + schema);
    tx.exec("SELECT 1 FROM node ORDER BY id FOR NO KEY UPDATE");
    tx.exec_params("DELETE FROM node_grant WHERE subject_id = $1", berta.user_id.ToString());
    std::atomic<bool> ended = false;
    std::thread late([&] {
      status = change();
      ended = true;
    });
    for (int i = 0; i < 1000 && !ended && !SomebodyWaits(); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    tx.commit();
    late.join();
    return status;
  }
  // What was done to nodes and links, without sessions and roles.
  std::int64_t Changes() {
    return *pool.Query<std::int64_t>("changes", [](pqxx::work& tx) -> absl::StatusOr<std::int64_t> {
      return tx.exec1("SELECT count(*) FROM audit WHERE action NOT LIKE 'session.%'")[0].as<std::int64_t>();
    });
  }
};

struct Change {
  const char* what;
  // The node on which berta has a role, which one, and the change that rests on it.
  std::function<std::string()> node;
  graph::v1::Role role;
  std::function<absl::Status(const rpc::Caller&)> run;
};

std::vector<Change> ChangesOf(Late& w) {
  const auto on_unit = [&] { return w.unit.id(); };
  const auto on_repo = [&] { return w.repo.id(); };
  return {
      {"set level", on_unit, graph::v1::ROLE_MAINTAINER,
       [&](const rpc::Caller& who) {
         graph::v1::SetNodeLevelRequest request;
         request.set_id(w.unit.id());
         request.set_level(ACCESS_LEVEL_PUBLIC);
         graph::v1::LevelChange out;
         return w.nodes.SetLevel(who, request, out);
       }},
      {"set level of a variable", on_unit, graph::v1::ROLE_MAINTAINER,
       [&](const rpc::Caller& who) {
         graph::v1::SetNodeLevelRequest request;
         request.set_id(w.input);
         request.set_level(ACCESS_LEVEL_PRIVATE);
         graph::v1::LevelChange out;
         return w.nodes.SetLevel(who, request, out);
       }},
      {"update unit", on_unit, graph::v1::ROLE_MAINTAINER,
       [&](const rpc::Caller& who) {
         graph::v1::UpdateUnitRequest request;
         request.set_id(w.unit.id());
         request.set_name("renamed");
         graph::v1::Unit out;
         return w.units.Update(who, request, out);
       }},
      {"reset env", on_unit, graph::v1::ROLE_MAINTAINER,
       [&](const rpc::Caller& who) {
         graph::v1::Unit out;
         return w.units.ResetEnv(who, w.unit.id(), out);
       }},
      {"delete unit", on_unit, graph::v1::ROLE_OWNER,
       [&](const rpc::Caller& who) { return w.units.Delete(who, w.unit.id()); }},
      {"update variable", on_unit, graph::v1::ROLE_MAINTAINER,
       [&](const rpc::Caller& who) {
         graph::v1::UpdateVariableRequest request;
         request.set_id(w.input);
         request.set_accepts_people(false);
         graph::v1::Variable out;
         return w.units.UpdateVariable(who, request, out);
       }},
      {"set value", [&] { return w.input; }, graph::v1::ROLE_WRITER,
       [&](const rpc::Caller& who) {
         graph::v1::SetVariableValueRequest request;
         request.set_id(w.input);
         request.mutable_value()->set_number_value(20);
         graph::v1::SetVariableValueResponse out;
         return w.units.SetValue(who, request, out);
       }},
      {"draw link", on_unit, graph::v1::ROLE_WRITER,
       [&](const rpc::Caller& who) {
         graph::v1::Link out;
         return w.links.Create(who, w.LinkRequest(), out);
       }},
      {"delete link",
       [&] {
         w.Draw();
         return w.unit.id();
       },
       graph::v1::ROLE_MAINTAINER, [&](const rpc::Caller& who) { return w.links.Delete(who, w.drawn); }},
      {"put grant", on_unit, graph::v1::ROLE_OWNER,
       [&](const rpc::Caller& who) {
         graph::v1::PutGrantRequest request;
         request.set_node_id(w.unit.id());
         request.set_subject_id(w.anna.user_id.ToString());
         request.set_role(graph::v1::ROLE_READER);
         graph::v1::Grant out;
         return w.nodes.PutGrant(who, request, out);
       }},
      {"create unit", on_repo, graph::v1::ROLE_READER,
       [&](const rpc::Caller& who) {
         graph::v1::CreateUnitRequest request;
         request.set_repo_unit_id(w.repo.id());
         request.set_name("late");
         graph::v1::Unit out;
         return w.units.Create(who, request, out);
       }},
      {"update repository", on_repo, graph::v1::ROLE_MAINTAINER,
       [&](const rpc::Caller& who) {
         graph::v1::UpdateRepoUnitRequest request;
         request.set_id(w.repo.id());
         request.set_default_branch("next");
         graph::v1::RepoUnit out;
         return w.repo_units.Update(who, request, out);
       }},
      {"sync", on_repo, graph::v1::ROLE_MAINTAINER,
       [&](const rpc::Caller& who) {
         graph::v1::RepoUnit out;
         return w.repo_units.Sync(who, w.repo.id(), out);
       }},
      {"delete repository", on_repo, graph::v1::ROLE_OWNER,
       [&](const rpc::Caller& who) { return w.repo_units.Delete(who, w.repo.id()); }},
  };
}

}  // namespace

TEST_CASE("a role that is taken away while a change is prepared does not carry it any more", "[A0][A3]") {
  Late w;
  for (const Change& change : ChangesOf(w)) {
    INFO(change.what);
    w.Let(w.anna, change.node(), w.berta, change.role);
    const std::int64_t before = w.Changes();
    CHECK(w.WhileRolesGo([&] { return change.run(w.berta); }).code() == absl::StatusCode::kNotFound);
    CHECK(w.Changes() == before);
    CHECK(w.values.writes.empty());
  }
  // They are changes all the same, for whoever keeps his role; only a repository with units stays.
  for (std::size_t i = 0; i < ChangesOf(w).size(); ++i) {
    Late fresh;
    const Change change = ChangesOf(fresh)[i];
    INFO(change.what);
    fresh.Let(fresh.anna, change.node(), fresh.berta, change.role);
    const std::int64_t before = fresh.Changes();
    const absl::Status status = change.run(fresh.berta);
    CHECK((status.ok() || Reason(status) == "IN_USE"));
    CHECK((fresh.Changes() > before || !fresh.values.writes.empty() || !status.ok()));
  }
}

TEST_CASE("a move needs the role and the sight of its repository when it is made", "[A3][U9]") {
  Late w;
  graph::v1::MoveUnitRequest request;
  request.set_id(w.unit.id());
  request.mutable_pin()->set_branch("next");
  graph::v1::UnitMove out;
  for (const bool repository : {true, false}) {
    w.Let(w.anna, w.unit.id(), w.berta, graph::v1::ROLE_MAINTAINER);
    w.Let(w.anna, w.repo.id(), w.berta, graph::v1::ROLE_READER);
    const std::int64_t before = w.Changes();
    // repo-sync takes its time.
    w.versions.meanwhile = [&] {
      w.Sql("DELETE FROM node_grant WHERE node_id = '" + (repository ? w.repo.id() : w.unit.id()) + "'");
    };
    CHECK(w.units.Move(w.berta, request, out).code() == absl::StatusCode::kNotFound);
    w.versions.meanwhile = nullptr;
    CHECK(w.Changes() == before);
  }
  w.Let(w.anna, w.unit.id(), w.berta, graph::v1::ROLE_MAINTAINER);
  w.Let(w.anna, w.repo.id(), w.berta, graph::v1::ROLE_READER);
  CHECK(w.units.Move(w.berta, request, out) == absl::OkStatus());
}

TEST_CASE("what is under way for a session that ends is refused, and so for a blocked user", "[A5]") {
  Late w;
  const auto with_roles = [&](const rpc::Caller& who, const absl::StatusCode expected, absl::StatusCode other) {
    for (const Change& change : ChangesOf(w)) {
      INFO(change.what);
      w.Let(w.anna, w.repo.id(), w.berta, graph::v1::ROLE_OWNER);
      w.Let(w.anna, change.node(), w.berta, graph::v1::ROLE_OWNER);
      const std::int64_t before = w.Changes();
      const absl::StatusCode code = change.run(who).code();
      CHECK((code == expected || code == other));
      CHECK(w.Changes() == before);
    }
    CHECK(w.values.writes.empty());
  };
  rpc::Caller elsewhere = w.berta;
  elsewhere.session_id = Uuid::New();
  with_roles(elsewhere, absl::StatusCode::kUnauthenticated, absl::StatusCode::kUnauthenticated);

  const rpc::Caller admin = w.User("root", true), second = w.User("second", true);
  w.User("third", true);
  graph::v1::CreatePersonalTokenRequest token;
  token.set_name("late");
  token.add_scopes(graph::v1::TOKEN_SCOPE_READ);
  token.mutable_expires_at()->set_seconds(NowMs() / 1000 + 3600);
  graph::v1::IssuedPersonalToken issued;
  CHECK(w.tokens.Create(elsewhere, token, issued).code() == absl::StatusCode::kUnauthenticated);
  CHECK(w.accounts.EndOtherSessions(elsewhere).code() == absl::StatusCode::kUnauthenticated);

  // One administrator unmakes another while that one's calls are under way.
  graph::v1::SetAdministratorRequest unmake;
  unmake.set_id(second.user_id.ToString());
  graph::v1::User out;
  REQUIRE(w.users.SetAdministrator(admin, unmake, out) == absl::OkStatus());
  unmake.set_id(admin.user_id.ToString());
  CHECK(w.users.SetAdministrator(second, unmake, out).code() == absl::StatusCode::kUnavailable);
  graph::v1::IssuedInvitation invitation;
  CHECK(w.invitations.Create(second, {}, invitation).code() == absl::StatusCode::kUnavailable);
  CHECK(w.units.Delete(second, w.unit.id()).code() == absl::StatusCode::kUnavailable);
  graph::v1::BlockUserRequest block;
  block.set_id(w.berta.user_id.ToString());
  CHECK(w.users.Block(second, block, out).code() == absl::StatusCode::kUnavailable);

  REQUIRE(w.users.Block(admin, block, out) == absl::OkStatus());
  with_roles(w.berta, absl::StatusCode::kUnauthenticated, absl::StatusCode::kUnauthenticated);
}

TEST_CASE("a sign-in with a password that is another one by then opens nothing", "[A5]") {
  Late w;
  graph::v1::CreateUserRequest sign_up;
  sign_up.set_login("clara");
  sign_up.set_password("an old password");
  graph::v1::User clara;
  REQUIRE(w.accounts.SignUp({}, sign_up, clara) == absl::OkStatus());
  graph::v1::CreateSessionRequest old;
  old.set_login("clara");
  old.set_password("an old password");
  graph::v1::Session session;
  REQUIRE(w.accounts.SignIn(old, session) == absl::OkStatus());
  const rpc::Caller caller{.kind = rpc::Caller::Kind::kUser,
                           .user_id = *Uuid::Parse(clara.id()),
                           .session_id = *Uuid::Parse(session.id()),
                           .administrator = false};
  // Looking at a password takes long, on purpose.
  w.secrets.verified_so_far = [&] {
    w.secrets.verified_so_far = nullptr;
    graph::v1::ChangePasswordRequest change;
    change.set_current_password("an old password");
    change.set_new_password("another password");
    REQUIRE(w.accounts.ChangePassword(caller, change) == absl::OkStatus());
  };
  graph::v1::Session late;
  const absl::Status status = w.accounts.SignIn(old, late);
  CHECK(Reason(status) == "BAD_CREDENTIALS");
  CHECK(late.access_token().empty());
  CHECK(w.Count("session WHERE user_id = '" + clara.id() + "'") == 1);
}
