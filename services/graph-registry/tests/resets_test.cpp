#include <catch2/catch.hpp>
#include <thread>

#include "pepeunit/base/personal_token.h"
#include "world.h"

using namespace pepeunit;
using namespace pepeunit::graph_registry;

namespace {

constexpr char kNew[] = "correct horse battery";

struct Office : World {
  rpc::Caller root = User("root", true), anna = User("anna"), berta = User("berta");

  absl::StatusOr<graph::v1::PasswordReset> Reset(const rpc::Caller& by, const rpc::Caller& whom,
                                                 std::int64_t life_s = 0) {
    graph::v1::ResetPasswordRequest request;
    request.set_id(whom.user_id.ToString());
    if (life_s != 0) request.mutable_lifetime()->set_seconds(life_s);
    graph::v1::PasswordReset reset;
    PEPEUNIT_RETURN_IF_ERROR(users.ResetPassword(by, request, reset));
    return reset;
  }
  absl::Status Redeem(const std::string& secret, const std::string& password = kNew, const std::string& from = "") {
    graph::v1::RedeemResetRequest request;
    request.set_secret(secret);
    request.set_new_password(password);
    return accounts.RedeemReset(request, from);
  }
  absl::Status SignIn(const std::string& login, const std::string& password, const std::string& from = "") {
    graph::v1::CreateSessionRequest request;
    request.set_login(login);
    request.set_password(password);
    graph::v1::Session session;
    return accounts.SignIn(request, session, from);
  }
  absl::Status SetAdministrator(const rpc::Caller& by, const rpc::Caller& whom, bool administrator) {
    graph::v1::SetAdministratorRequest request;
    request.set_id(whom.user_id.ToString());
    request.set_administrator(administrator);
    graph::v1::User user;
    return users.SetAdministrator(by, request, user);
  }
  absl::Status Block(const rpc::Caller& by, const rpc::Caller& whom) {
    graph::v1::BlockUserRequest request;
    request.set_id(whom.user_id.ToString());
    graph::v1::User user;
    return users.Block(by, request, user);
  }
  absl::StatusOr<std::vector<std::string>> Logins(const rpc::Caller& viewer,
                                                  const graph::v1::ListUsersRequest& request = {}) {
    graph::v1::ListUsersResponse listed;
    PEPEUNIT_RETURN_IF_ERROR(users.List(viewer, request, listed));
    std::vector<std::string> logins;
    for (const auto& user : listed.users()) logins.push_back(user.login());
    return logins;
  }
};

using Logins = std::vector<std::string>;

}  // namespace

TEST_CASE("a reset gives a new password once, and ends what was signed in", "[A5]") {
  Office w;
  graph::v1::CreatePersonalTokenRequest token;
  token.set_name("thermostat");
  token.add_scopes(graph::v1::TOKEN_SCOPE_READ);
  token.mutable_expires_at()->set_seconds(NowMs() / 1000 + 3600);
  graph::v1::IssuedPersonalToken issued;
  REQUIRE(w.tokens.Create(w.anna, token, issued) == absl::OkStatus());
  for (int i = 0; i < 6; ++i) (void)w.SignIn("anna", "wrong");
  CHECK(Reason(w.SignIn("anna", "password of anna")) == "LIMIT");

  const auto older = w.Reset(w.root, w.anna), reset = w.Reset(w.root, w.anna);
  REQUIRE(older.ok());
  REQUIRE(reset.ok());
  CHECK(IsSecretText(kResetPrefix, reset->secret()));
  CHECK(w.TablesWith(reset->secret()).empty());
  CHECK(Reason(w.Redeem(older->secret())) == "BAD_RESET");  // replaced
  CHECK(w.people.FindCaller(w.anna.user_id, w.anna.session_id).ok());
  REQUIRE(w.Redeem(reset->secret()) == absl::OkStatus());
  CHECK_FALSE(w.people.FindCaller(w.anna.user_id, w.anna.session_id).ok());
  CHECK(w.Count("personal_token") == 0);
  CHECK(w.SignIn("anna", kNew).ok());  // she need not wait
  CHECK(Reason(w.SignIn("anna", "password of anna")) == "BAD_CREDENTIALS");
  CHECK(Reason(w.Redeem(reset->secret())) == "BAD_RESET");
  CHECK(w.Count("audit WHERE action IN ('user.reset-password', 'user.redeem-reset')") == 3);
  CHECK(w.TablesWith(reset->secret()).empty());
  CHECK(w.people.FindCaller(w.berta.user_id, w.berta.session_id).ok());
}

TEST_CASE("of many who redeem one reset at once, one gives the password", "[A5]") {
  Office w;
  const auto reset = w.Reset(w.root, w.anna);
  REQUIRE(reset.ok());
  std::vector<std::thread> threads;
  std::atomic<int> good = 0, bad = 0;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      const absl::Status status = w.Redeem(reset->secret(), "a new password " + std::to_string(i));
      good += status.ok();
      bad += Reason(status) == "BAD_RESET";
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(good == 1);
  CHECK(bad == 7);
}

TEST_CASE("resets that do not live answer alike", "[A5]") {
  Office w;
  const auto expired = w.Reset(w.root, w.anna), blocked = w.Reset(w.root, w.berta);
  REQUIRE(expired.ok());
  REQUIRE(blocked.ok());
  w.Sql("UPDATE password_reset SET expires_at = now() WHERE user_id = '" + w.anna.user_id.ToString() + "'");
  REQUIRE(w.Block(w.root, w.berta) == absl::OkStatus());
  CHECK(Reason(w.Reset(w.root, w.berta).status()) == "BLOCKED");
  absl::Status first;
  for (const std::string& secret : {expired->secret(), blocked->secret(), NewSecretText(kResetPrefix),
                                    NewSecretText(kInvitationPrefix), std::string("nonsense")}) {
    const absl::Status status = w.Redeem(secret);
    CHECK(Reason(status) == "BAD_RESET");
    if (first.ok()) first = status;
    CHECK(status.message() == first.message());
  }
  CHECK(Violations(w.Redeem("", "short")) == "secret new_password");
  CHECK(w.secrets.hashes == 0);  // nothing dear is done for a bad secret
}

TEST_CASE("a reset is made by administrators with a session, also for who has no password", "[A5]") {
  Office w;
  CHECK(Reason(w.Reset(w.anna, w.berta).status()) == "FORBIDDEN");
  CHECK(absl::IsNotFound(w.Reset({}, w.berta).status()));
  rpc::Caller token = w.root;
  token.reach = rpc::Caller::Reach::kManage;
  CHECK(Reason(w.Reset(token, w.berta).status()) == "FORBIDDEN");
  CHECK(Violations(w.Reset(w.root, w.berta, 59).status()) == "lifetime");
  CHECK(Violations(w.Reset(w.root, w.berta, 7 * 86'400 + 1).status()) == "lifetime");
  w.Sql("UPDATE account SET password_hash = '' WHERE login = 'berta'");
  const auto reset = w.Reset(w.root, w.berta, 60);
  REQUIRE(reset.ok());
  REQUIRE(w.Redeem(reset->secret()) == absl::OkStatus());
  CHECK(w.SignIn("berta", kNew).ok());
}

TEST_CASE("administrators are made and unmade at once, but never the last of them", "[A5]") {
  Office w;
  CHECK(Reason(w.SetAdministrator(w.anna, w.anna, true)) == "FORBIDDEN");
  CHECK(Reason(w.SetAdministrator(w.root, w.root, false)) == "LAST_ADMINISTRATOR");
  REQUIRE(w.SetAdministrator(w.root, w.anna, true) == absl::OkStatus());
  CHECK(w.people.FindCaller(w.anna.user_id, w.anna.session_id)->administrator());
  rpc::Caller anna = w.anna;
  anna.administrator = true;
  // Each takes it from the other at once: one of them is left.
  absl::Status first, second;
  std::thread other([&] { second = w.SetAdministrator(anna, w.root, false); });
  first = w.SetAdministrator(w.root, w.anna, false);
  other.join();
  CHECK(first.ok() != second.ok());
  CHECK(Reason(first.ok() ? second : first) == "LAST_ADMINISTRATOR");
  CHECK(w.Count("account WHERE administrator") == 1);
  CHECK(w.Count("audit WHERE action = 'user.set-administrator'") == 2);
}

TEST_CASE("a blocked administrator counts for nothing, and can be made an ordinary user", "[A5]") {
  Office w;
  REQUIRE(w.SetAdministrator(w.root, w.anna, true) == absl::OkStatus());
  REQUIRE(w.Block(w.root, w.anna) == absl::OkStatus());
  CHECK(Reason(w.SetAdministrator(w.root, w.root, false)) == "LAST_ADMINISTRATOR");
  CHECK(w.SetAdministrator(w.root, w.anna, false).ok());
}

TEST_CASE("what an administrator linked by his power is suspended when he loses it, and resumes", "[A5][G5]") {
  Office w;
  REQUIRE(w.SetAdministrator(w.root, w.anna, true) == absl::OkStatus());
  rpc::Caller anna = w.anna;
  anna.administrator = true;
  const auto unit = w.Unit(w.berta, w.Repo(w.berta));
  graph::v1::CreateLinkRequest request;
  request.set_type(graph::v1::LINK_TYPE_WRITE);
  request.set_output_id(w.Variable(unit, "measured"));
  request.set_input_id(w.Variable(unit, "wanted"));
  graph::v1::Link link;
  REQUIRE(w.links.Create(anna, request, link) == absl::OkStatus());
  w.Events();
  REQUIRE(w.SetAdministrator(w.root, w.anna, false) == absl::OkStatus());
  const auto events = w.Events();
  REQUIRE(events.size() == 1);
  REQUIRE(events[0].unit_changed().suspended_link_ids_size() == 1);
  CHECK(events[0].unit_changed().suspended_link_ids(0) == link.id());
  CHECK_FALSE(w.gate.changes.empty());
  REQUIRE(w.SetAdministrator(w.root, w.anna, true) == absl::OkStatus());
  REQUIRE(w.links.Get(w.berta, link.id(), link) == absl::OkStatus());
  CHECK(link.state() == graph::v1::LINK_STATE_ACTIVE);
  CHECK(w.Events().size() == 1);
}

TEST_CASE("users are listed for whoever may see them", "[A4][A5]") {
  Office w;
  w.Sql("UPDATE node SET level = 1 WHERE name = 'berta'");
  REQUIRE(w.Block(w.root, w.berta) == absl::OkStatus());
  const rpc::Caller annabel = w.User("annabel");
  CHECK(*w.Logins(w.root) == Logins{"root", "anna", "berta", "annabel"});
  CHECK(*w.Logins(w.anna) == Logins{"root", "anna", "annabel"});
  CHECK(w.Logins({})->empty());
  w.Sql("UPDATE node SET level = 4 WHERE name = 'anna'");
  CHECK(*w.Logins({}) == Logins{"anna"});

  graph::v1::ListUsersRequest request;
  request.set_login("ANNA");
  CHECK(*w.Logins(w.root, request) == Logins{"anna", "annabel"});
  CHECK(*w.Logins({}, request) == Logins{"anna"});
  request.set_login("annabe");
  CHECK(*w.Logins(annabel, request) == Logins{"annabel"});
  request.set_login("b");
  CHECK(w.Logins(w.anna, request)->empty());
  for (const char* wrong : {"a%", "a'", "anna ", "\xC3\xA4"}) {
    request.set_login(wrong);
    CHECK(Violations(w.Logins(w.root, request).status()) == "login");
  }
  request.Clear();
  request.set_blocked(true);
  CHECK(*w.Logins(w.root, request) == Logins{"berta"});
  CHECK(Reason(w.Logins(w.anna, request).status()) == "FORBIDDEN");
  CHECK(Reason(w.Logins({}, request).status()) == "UNAUTHENTICATED");
  request.Clear();
  request.set_administrator(false);
  CHECK(*w.Logins(w.root, request) == Logins{"anna", "berta", "annabel"});

  // Page by page, and no cursor fits another filter.
  request.set_page_size(2);
  graph::v1::ListUsersResponse page;
  REQUIRE(w.users.List(w.root, request, page) == absl::OkStatus());
  REQUIRE(page.users_size() == 2);
  CHECK(page.users(1).blocked());
  request.set_cursor(page.next_cursor());
  page.Clear();
  REQUIRE(w.users.List(w.root, request, page) == absl::OkStatus());
  CHECK(page.users_size() == 1);
  CHECK(page.next_cursor().empty());
  request.clear_administrator();
  CHECK(Reason(w.users.List(w.root, request, page)) == "INVALID_CURSOR");
}

TEST_CASE("guessing from one address over many logins has to wait", "[A1][A5]") {
  Office w;
  Accounts accounts(w.people, w.secrets,
                    {.registration = graph::v1::REGISTRATION_INVITATION, .free_failures_of_address = 6});
  const auto sign_in = [&](const std::string& login, const std::string& password, const std::string& from) {
    graph::v1::CreateSessionRequest request;
    request.set_login(login);
    request.set_password(password);
    graph::v1::Session session;
    return accounts.SignIn(request, session, from);
  };
  const std::string here = "2001:db8:1:2::7", neighbour = "2001:db8:1:2:ffff::1", other = "2001:db8:1:3::7";
  for (int i = 0; i < 3; ++i) {
    CHECK(Reason(sign_in("nobody-" + std::to_string(i), "wrong", here)) == "BAD_CREDENTIALS");
    CHECK(sign_in("anna", "password of anna", here).ok());  // is no failure, and forgives none
  }
  // Secrets are guesses like passwords.
  CHECK(Reason(accounts.CheckInvitation(NewSecretText(kInvitationPrefix), neighbour).status()) == "BAD_INVITATION");
  graph::v1::RedeemResetRequest redeem;
  redeem.set_secret("nonsense");
  redeem.set_new_password(kNew);
  CHECK(Reason(accounts.RedeemReset(redeem, here)) == "BAD_RESET");
  CHECK(Reason(sign_in("no login at all", "wrong", neighbour)) == "BAD_CREDENTIALS");
  const int looked_at = w.secrets.verified;
  const absl::Status wait = sign_in("anna", "password of anna", neighbour);
  CHECK(Reason(wait) == "LIMIT");
  CHECK(InfoOf(wait).retry_after_ms > 0);
  CHECK(InfoOf(wait).retry_after_ms <= 2'000);
  CHECK(Reason(accounts.RedeemReset(redeem, here)) == "LIMIT");
  CHECK(Reason(accounts.CheckInvitation("nonsense", here).status()) == "LIMIT");
  CHECK(w.secrets.verified == looked_at);
  CHECK(sign_in("anna", "password of anna", other).ok());
  CHECK(sign_in("anna", "password of anna", "").ok());
  w.Sql("UPDATE login_failure SET failures = 8, last_at = now() - interval '3 s'");
  CHECK(Reason(sign_in("anna", "password of anna", here)) == "LIMIT");  // 8 s
  w.Sql("UPDATE login_failure SET failures = 100, last_at = now() - interval '901 s'");
  CHECK(sign_in("anna", "password of anna", here).ok());
  CHECK(Reason(sign_in("anna", "password of anna", here)) == "LIMIT");
  w.Sql("UPDATE login_failure SET last_at = now() - interval '25 hours'");
  CHECK(sign_in("anna", "password of anna", here).ok());
  CHECK(w.Count("login_failure WHERE failures > 0") == 0);
}

TEST_CASE("who makes many users from one address has to wait between them", "[A1][A5]") {
  Office w;
  Accounts accounts(w.people, w.secrets, {.registration = graph::v1::REGISTRATION_OPEN, .free_failures_of_address = 3});
  int made = 0;
  const auto sign_up = [&](const std::string& from) {
    graph::v1::CreateUserRequest request;
    request.set_login("many-" + std::to_string(++made));
    request.set_password(kNew);
    graph::v1::User user;
    rpc::Caller caller;
    caller.client_address = from;
    return accounts.SignUp(caller, request, user);
  };
  for (int i = 0; i < 3; ++i) CHECK(sign_up("203.0.113.9") == absl::OkStatus());
  const absl::Status wait = sign_up("203.0.113.9");
  CHECK(Reason(wait) == "LIMIT");
  CHECK(InfoOf(wait).retry_after_ms > 0);
  CHECK(sign_up("203.0.113.10") == absl::OkStatus());
  // Signing in from there is another matter.
  graph::v1::CreateSessionRequest request;
  request.set_login("many-1");
  request.set_password(kNew);
  graph::v1::Session session;
  CHECK(accounts.SignIn(request, session, "203.0.113.9") == absl::OkStatus());
}

TEST_CASE("guesses at once from one address are all counted, and what is remembered is bounded", "[A1][A5]") {
  Office w;
  Guesses guesses(w.people, 5);
  std::vector<std::thread> threads;
  std::atomic<int> admitted = 0;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 4; ++n) admitted += guesses.Begin("", "203.0.113.9").ok();
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(admitted >= 5);
  CHECK(admitted < 32);
  CHECK(w.Count("login_failure WHERE failures = " + std::to_string(admitted)) == 1);
  CHECK(guesses.Begin("", "203.0.113.10").ok());
  w.Sql("UPDATE login_failure SET failures = 40, last_at = last_at + interval '1 s' * (login = '@203.0.113.10')::int");
  CHECK_FALSE(guesses.Begin("", "::ffff:203.0.113.9").ok());
  CHECK(Guesses::KeyOf("") == "");
  CHECK(Guesses::KeyOf("::ffff:203.0.113.9") == "@203.0.113.9");
  CHECK(Guesses::KeyOf("2001:db8:1:2:3::4") == "@2001:db8:1:2::/64");
  CHECK(Guesses::KeyOf(std::string(1000, 'x')).size() == 65);
  REQUIRE(w.Count("login_failure") == 2);
  CHECK(w.people.ForgetFailures(2).value() == 0);
  CHECK(w.people.ForgetFailures(1).value() == 1);
  CHECK(w.Count("login_failure WHERE login = '@203.0.113.10'") == 1);
}
