#include <catch2/catch.hpp>
#include <thread>

#include "callers.h"
#include "world.h"

using namespace pepeunit;
using namespace pepeunit::graph_registry;
using namespace pepeunit::common::v1;

namespace {

struct Town : World {
  rpc::Caller root = User("root", true), anna = User("anna"), berta = User("berta");

  absl::StatusOr<graph::v1::Session> SignIn(const std::string& login, const std::string& password,
                                            const std::string& from = "") {
    graph::v1::CreateSessionRequest request;
    request.set_login(login);
    request.set_password(password);
    graph::v1::Session session;
    PEPEUNIT_RETURN_IF_ERROR(accounts.SignIn(request, session, from));
    return session;
  }
  absl::Status Block(const rpc::Caller& by, const rpc::Caller& whom, bool stop_devices = false) {
    graph::v1::BlockUserRequest request;
    request.set_id(whom.user_id.ToString());
    request.set_stop_devices(stop_devices);
    graph::v1::User user;
    return users.Block(by, request, user);
  }
  absl::Status Unblock(const rpc::Caller& by, const rpc::Caller& whom) {
    graph::v1::User user;
    return users.Unblock(by, whom.user_id.ToString(), user);
  }
  bool Alive(const rpc::Caller& who) { return people.FindCaller(who.user_id, who.session_id).ok(); }
};

}  // namespace

TEST_CASE("a blocked user is out at once, and his devices go on unless they are stopped", "[A5]") {
  Town w;
  const auto unit = w.Unit(w.anna, w.Repo(w.anna));
  graph::v1::UnitProfile profile;
  const auto served = [&] { return w.internals.UnitProfile(rpc::Caller::Service(), unit.id(), profile).ok(); };
  CHECK(w.Alive(w.anna));
  w.Events();
  REQUIRE(w.Block(w.root, w.anna) == absl::OkStatus());
  CHECK_FALSE(w.Alive(w.anna));
  CHECK(w.Count("session WHERE user_id = '" + w.anna.user_id.ToString() + "'") == 0);
  CHECK(served());
  CHECK(w.Events().empty());
  // Only who knows the password is told why.
  CHECK(Reason(w.SignIn("anna", "password of anna").status()) == "BLOCKED");
  CHECK(Reason(w.SignIn("anna", "wrong").status()) == "BAD_CREDENTIALS");

  REQUIRE(w.Block(w.root, w.anna, true) == absl::OkStatus());
  CHECK_FALSE(served());
  CHECK(w.Events().at(0).unit_changed().unit_id() == unit.id());
  REQUIRE(w.Unblock(w.root, w.anna) == absl::OkStatus());
  CHECK(served());
  CHECK(w.Events().size() == 1);
  CHECK(w.SignIn("anna", "password of anna").ok());
  CHECK_FALSE(w.Alive(w.anna));  // what ended stays ended
}

TEST_CASE("what a blocked user set up is stopped with his devices, and goes on with him", "[A5][G5]") {
  Town w;
  const auto repo = w.Repo(w.anna);
  const auto source = w.Unit(w.anna, repo, ACCESS_LEVEL_PUBLIC), target = w.Unit(w.berta, repo);
  graph::v1::CreateLinkRequest request;
  request.set_type(graph::v1::LINK_TYPE_READ);
  request.set_output_id(w.Variable(source, "measured"));
  request.set_input_id(w.Variable(target, "wanted"));
  graph::v1::Link link;
  REQUIRE(w.links.Create(w.berta, request, link) == absl::OkStatus());
  const auto carries = [&] {
    graph::v1::UnitProfile profile;
    REQUIRE(w.internals.UnitProfile(rpc::Caller::Service(), source.id(), profile).ok());
    return profile.links_size() == 1;
  };
  const auto reason = [&] {
    graph::v1::Link seen;
    REQUIRE(w.links.Get(w.root, link.id(), seen).ok());
    return seen.suspended_reason();
  };
  REQUIRE(w.Block(w.root, w.berta) == absl::OkStatus());
  CHECK(carries());
  w.Events();
  REQUIRE(w.Block(w.root, w.berta, true) == absl::OkStatus());
  CHECK_FALSE(carries());
  CHECK(reason() == graph::v1::SUSPENDED_REASON_CREATOR_BLOCKED);
  std::vector<std::string> suspended;
  for (const auto& event : w.Events()) {
    for (const auto& id : event.unit_changed().suspended_link_ids()) suspended.push_back(id);
  }
  CHECK(suspended == std::vector<std::string>{link.id()});
  REQUIRE(w.Unblock(w.root, w.berta) == absl::OkStatus());
  CHECK(carries());
  CHECK(reason() == graph::v1::SUSPENDED_REASON_UNSPECIFIED);
}

TEST_CASE("administrators block, but never the last of them", "[A5]") {
  Town w;
  CHECK(Reason(w.Block(w.anna, w.berta)) == "FORBIDDEN");
  CHECK(absl::IsNotFound(w.Block({}, w.berta)));
  CHECK(Violations(w.Block(w.root, w.root)) == "id");
  rpc::Caller reads = w.root;
  reads.reach = rpc::Caller::Reach::kRead;
  CHECK(Reason(w.Block(reads, w.anna)) == "FORBIDDEN");
  const rpc::Caller second = w.User("second", true);
  // Each blocks the other at once: one of them is left.
  absl::Status first_status, second_status;
  std::thread other([&] { second_status = w.Block(second, w.root); });
  first_status = w.Block(w.root, second);
  other.join();
  CHECK(first_status.ok() != second_status.ok());
  CHECK(Reason(first_status.ok() ? second_status : first_status) == "LAST_ADMINISTRATOR");
  CHECK(w.Count("account WHERE administrator AND NOT blocked") == 1);
}

TEST_CASE("who is blocked is shown to administrators and to himself", "[A5]") {
  Town w;
  REQUIRE(w.Block(w.root, w.anna) == absl::OkStatus());
  graph::v1::User seen;
  const std::string id = w.anna.user_id.ToString();
  REQUIRE(w.users.Get(w.root, id, seen) == absl::OkStatus());
  CHECK(seen.blocked());
  REQUIRE(w.users.Get(w.berta, id, seen) == absl::OkStatus());
  CHECK_FALSE(seen.blocked());
  CHECK(seen.login() == "anna");
  CHECK(absl::IsNotFound(w.users.Get({}, id, seen)));
  CHECK(absl::IsNotFound(w.users.Get(w.berta, Uuid::New().ToString(), seen)));
}

TEST_CASE("a new password needs the old one and ends the other sessions", "[A5]") {
  Town w;
  const auto other = w.SignIn("anna", "password of anna", "203.0.113.7");
  REQUIRE(other.ok());
  graph::v1::ListSessionsResponse sessions;
  REQUIRE(w.accounts.ListSessions(w.anna, sessions) == absl::OkStatus());
  REQUIRE(sessions.sessions_size() == 2);
  CHECK(sessions.sessions(0).id() == other->id());
  CHECK(sessions.sessions(0).client_address() == "203.0.113.7");
  CHECK_FALSE(sessions.sessions(0).current());
  CHECK(sessions.sessions(1).current());

  graph::v1::ChangePasswordRequest change;
  change.set_current_password("wrong");
  change.set_new_password("short");
  CHECK(Violations(w.accounts.ChangePassword(w.anna, change)) == "new_password");
  change.set_new_password("correct horse battery");
  CHECK(Reason(w.accounts.ChangePassword(w.anna, change)) == "BAD_CREDENTIALS");
  change.set_current_password("password of anna");
  rpc::Caller token = w.anna;
  token.reach = rpc::Caller::Reach::kManage;
  CHECK(Reason(w.accounts.ChangePassword(token, change)) == "FORBIDDEN");
  CHECK_FALSE(w.accounts.ListSessions(token, sessions).ok());
  REQUIRE(w.accounts.ChangePassword(w.anna, change) == absl::OkStatus());
  CHECK(w.Alive(w.anna));
  CHECK(w.Count("session WHERE user_id = '" + w.anna.user_id.ToString() + "'") == 1);
  CHECK(Reason(w.SignIn("anna", "password of anna").status()) == "BAD_CREDENTIALS");
  CHECK(w.SignIn("anna", "correct horse battery").ok());
  REQUIRE(w.accounts.EndOtherSessions(w.anna) == absl::OkStatus());
  CHECK(w.Alive(w.anna));
  CHECK(w.Count("session WHERE user_id = '" + w.anna.user_id.ToString() + "'") == 1);
}

TEST_CASE("guessing the current password has to wait as at signing in", "[A5]") {
  Town w;
  graph::v1::ChangePasswordRequest change;
  change.set_current_password("wrong");
  change.set_new_password("correct horse battery");
  for (int i = 0; i < 5; ++i) CHECK(Reason(w.accounts.ChangePassword(w.anna, change)) == "BAD_CREDENTIALS");
  CHECK(Reason(w.accounts.ChangePassword(w.anna, change)) == "LIMIT");
}
