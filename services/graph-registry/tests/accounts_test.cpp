#include <catch2/catch.hpp>
#include <thread>

#include "world.h"

using namespace pepeunit;
using namespace pepeunit::graph_registry;

namespace {

graph::v1::CreateUserRequest SignUp(const std::string& login, const std::string& password) {
  graph::v1::CreateUserRequest request;
  request.set_login(login);
  request.set_password(password);
  return request;
}

graph::v1::CreateSessionRequest SignIn(const std::string& login, const std::string& password) {
  graph::v1::CreateSessionRequest request;
  request.set_login(login);
  request.set_password(password);
  return request;
}

graph::v1::RefreshSessionRequest Refresh(const std::string& token) {
  graph::v1::RefreshSessionRequest request;
  request.set_refresh_token(token);
  return request;
}

}  // namespace

TEST_CASE("people sign up once, in and out", "[A1]") {
  World w;
  graph::v1::User user;
  REQUIRE(w.accounts.SignUp({}, SignUp("Anna.K", "a long password"), user) == absl::OkStatus());
  CHECK(user.login() == "anna.k");
  CHECK_FALSE(user.administrator());
  const absl::Status taken = w.accounts.SignUp({}, SignUp("ANNA.k", "another password"), user);
  CHECK(taken.code() == absl::StatusCode::kAlreadyExists);
  CHECK(Violations(taken) == "login");
  const absl::Status bad = w.accounts.SignUp({}, SignUp("1a", "short"), user);
  CHECK(Violations(bad) == "login password");

  graph::v1::Session session;
  REQUIRE(w.accounts.SignIn(SignIn("anna.K", "a long password"), session) == absl::OkStatus());
  CHECK(session.user().login() == "anna.k");
  CHECK(session.access_token() == session.user().id());
  CHECK(Base64UrlDecode(session.refresh_token())->size() == 32);
  const rpc::Caller anna{.kind = rpc::Caller::Kind::kUser, .user_id = *Uuid::Parse(session.user().id())};
  graph::v1::User me;
  REQUIRE(w.accounts.Current(anna, me).ok());
  CHECK(me.id() == session.user().id());
  CHECK(Reason(w.accounts.Current({}, me)) == "UNAUTHENTICATED");

  graph::v1::DeleteSessionRequest out;
  out.set_id(session.id());
  CHECK(absl::IsNotFound(w.accounts.SignOut(w.User("other"), out)));
  REQUIRE(w.accounts.SignOut(anna, out).ok());
  CHECK(Reason(w.accounts.Refresh(Refresh(session.refresh_token()), session)) == "UNAUTHENTICATED");
}

TEST_CASE("a closed instance takes nobody", "[A1][A5]") {
  World w;
  Accounts closed(w.people, w.secrets, {.registration = graph::v1::REGISTRATION_CLOSED});
  graph::v1::User user;
  CHECK(Reason(closed.SignUp({}, SignUp("anna", "a long password"), user)) == "REGISTRATION_CLOSED");
}

TEST_CASE("a wrong password, an unknown login and an impossible one answer alike, at the same cost", "[A1]") {
  World w;
  graph::v1::User user;
  REQUIRE(w.accounts.SignUp({}, SignUp("anna", "a long password"), user).ok());
  graph::v1::Session session;
  absl::Status first;
  int before = w.secrets.verified;
  for (const std::string& login :
       {std::string("anna"), std::string("nobody"), std::string("no such login"), std::string("anna\0", 5)}) {
    const absl::Status status = w.accounts.SignIn(SignIn(login, "wrong password"), session);
    CHECK(Reason(status) == "BAD_CREDENTIALS");
    if (first.ok()) first = status;
    CHECK(status.message() == first.message());
    CHECK(w.secrets.verified == ++before);
  }
  // A login with more behind a NUL is not the one before it.
  CHECK_FALSE(w.accounts.SignIn(SignIn(std::string("anna\0", 5), "a long password"), session).ok());
}

TEST_CASE("after five wrong passwords a login waits, longer each time, and guesses at once are all counted", "[A1]") {
  World w;
  graph::v1::User user;
  REQUIRE(w.accounts.SignUp({}, SignUp("anna", "a long password"), user).ok());
  std::vector<std::thread> threads;
  std::atomic<int> looked_at = 0, refused = 0;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 4; ++n) {
        graph::v1::Session session;
        const std::string reason = Reason(w.accounts.SignIn(SignIn("anna", "wrong password"), session));
        (reason == "LIMIT" ? refused : looked_at)++;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(looked_at <= 5);
  CHECK(looked_at + refused == 32);

  const auto wait = [&] {
    graph::v1::Session session;
    const absl::Status status = w.accounts.SignIn(SignIn("anna", "a long password"), session);
    CHECK(absl::IsResourceExhausted(status));
    return InfoOf(status).retry_after_ms;
  };
  const auto set = [&](int failures, const char* ago) {
    REQUIRE(w.pool.Transact("set", [&](pqxx::work& tx) {
      tx.exec_params(
          "INSERT INTO login_failure VALUES ('anna ', $1, now() - $2::interval)"
          " ON CONFLICT (login) DO UPDATE SET failures = excluded.failures, last_at = excluded.last_at",
          failures, ago);
      return absl::OkStatus();
    }) == absl::OkStatus());
  };
  set(5, "0 s");
  CHECK(wait() > 1'000);
  CHECK(wait() <= 2'000);
  set(7, "0 s");
  CHECK(wait() > 7'000);
  set(40, "0 s");
  CHECK(wait() <= 900'000);
  // The wait is over: the right password signs in, and all is forgotten.
  set(7, "9 s");
  graph::v1::Session session;
  REQUIRE(w.accounts.SignIn(SignIn("anna", "a long password"), session) == absl::OkStatus());
  CHECK(w.Count("login_failure") == 0);
}

TEST_CASE("who guesses at a password makes himself wait, not its user", "[A1][A5]") {
  World w;
  graph::v1::User user;
  REQUIRE(w.accounts.SignUp({}, SignUp("anna", "a long password"), user).ok());
  const auto sign_in = [&](const char* password, const std::string& from) {
    graph::v1::Session session;
    return Reason(w.accounts.SignIn(SignIn("anna", password), session, from));
  };
  const std::string guesser = "198.51.100.7", away = "203.0.113.9", home = "2001:db8:1:2::7";
  for (int i = 0; i < 5; ++i) CHECK(sign_in("wrong password", guesser) == "BAD_CREDENTIALS");
  CHECK(sign_in("wrong password", guesser) == "LIMIT");
  CHECK(sign_in("a long password", guesser) == "LIMIT");
  CHECK(sign_in("a long password", away).empty());
  CHECK(sign_in("a long password", home).empty());
  // Her sign-ins do not end his wait.
  CHECK(sign_in("wrong password", guesser) == "LIMIT");

  // Many addresses together: the login has a bound too, short of the one for an address ...
  const auto many = [&](int failures) {
    REQUIRE(w.pool.Transact("many", [&](pqxx::work& tx) {
      tx.exec_params(
          "INSERT INTO login_failure VALUES ('anna', $1) ON CONFLICT (login) DO UPDATE SET failures = $1,"
          " last_at = now()",
          failures);
      return absl::OkStatus();
    }) == absl::OkStatus());
  };
  many(99);
  CHECK(sign_in("wrong password", "192.0.2.1") == "BAD_CREDENTIALS");
  graph::v1::Session session;
  const absl::Status wait = w.accounts.SignIn(SignIn("anna", "a long password"), session, "192.0.2.2");
  CHECK(Reason(wait) == "LIMIT");
  CHECK(InfoOf(wait).retry_after_ms <= 2'000);
  many(100'000);
  const absl::Status longest = w.accounts.SignIn(SignIn("anna", "a long password"), session, "192.0.2.2");
  CHECK(InfoOf(longest).retry_after_ms > 28'000);
  CHECK(InfoOf(longest).retry_after_ms <= 30'000);
  // ... which does not bind her where she is signed in: there she has a bound of her own, as everywhere.
  for (int i = 0; i < 5; ++i) CHECK(sign_in("wrong password", "2001:db8:1:2::8") == "BAD_CREDENTIALS");
  CHECK(sign_in("wrong password", home) == "LIMIT");
  CHECK(sign_in("a long password", away).empty());
  // A login that is nobody's waits alike.
  many(0);
  REQUIRE(w.pool.Transact("rename", [&](pqxx::work& tx) {
    tx.exec("UPDATE login_failure SET login = 'nobody', failures = 100000 WHERE login = 'anna'");
    return absl::OkStatus();
  }) == absl::OkStatus());
  const absl::Status nobody = w.accounts.SignIn(SignIn("nobody", "a long password"), session, away);
  CHECK(nobody.message() == longest.message());
}

TEST_CASE("a password that could not be checked is no failure", "[A1]") {
  World w;
  graph::v1::User user;
  REQUIRE(w.accounts.SignUp({}, SignUp("anna", "a long password"), user).ok());
  w.secrets.down = true;
  graph::v1::Session session;
  for (int i = 0; i < 8; ++i) {
    CHECK(absl::IsUnavailable(w.accounts.SignIn(SignIn("anna", "a long password"), session)));
  }
  w.secrets.down = false;
  CHECK(w.accounts.SignIn(SignIn("anna", "a long password"), session).ok());
}

TEST_CASE("a refresh token works once, and its second use ends the session", "[A1]") {
  World w;
  graph::v1::User user;
  REQUIRE(w.accounts.SignUp({}, SignUp("anna", "a long password"), user).ok());
  graph::v1::Session first, second, third;
  REQUIRE(w.accounts.SignIn(SignIn("anna", "a long password"), first).ok());
  REQUIRE(w.accounts.Refresh(Refresh(first.refresh_token()), second) == absl::OkStatus());
  CHECK(second.id() == first.id());
  CHECK(second.refresh_token() != first.refresh_token());
  // A refresh that fails for other reasons leaves the token as it was.
  w.secrets.down = true;
  CHECK(absl::IsUnavailable(w.accounts.Refresh(Refresh(second.refresh_token()), third)));
  w.secrets.down = false;
  REQUIRE(w.accounts.Refresh(Refresh(second.refresh_token()), third) == absl::OkStatus());
  CHECK(Reason(w.accounts.Refresh(Refresh(second.refresh_token()), second)) == "UNAUTHENTICATED");
  CHECK(Reason(w.accounts.Refresh(Refresh(third.refresh_token()), second)) == "UNAUTHENTICATED");
  CHECK(w.Count("session") == 0);
  CHECK(w.Count("audit WHERE action = 'session.end-reused' AND actor_id IS NULL AND node_id = '" + user.id() + "'") ==
        1);
  CHECK(Violations(w.accounts.Refresh(Refresh(""), second)) == "refresh_token");
  CHECK(w.Count("session WHERE refresh_hash = 'x'") == 0);
}

TEST_CASE("tokens are kept as hashes only, sessions end in time and are bounded", "[A1]") {
  World w;
  const rpc::Caller anna = w.User("anna");
  for (int i = 0; i < 103; ++i) {
    REQUIRE(w.people.CreateSession({Uuid::New(), anna.user_id, NowMs() + 60'000 + i}, "hash " + std::to_string(i), "")
                .ok());
  }
  CHECK(w.Count("session") == 100);
  CHECK(w.Count("audit WHERE action = 'session.end-oldest'") == 4);  // of 104 with the one of his own
  CHECK(absl::IsNotFound(w.people.FindSession("hash 0").status()));
  CHECK(w.people.FindSession("hash 102").ok());
  REQUIRE(w.people.CreateSession({Uuid::New(), anna.user_id, NowMs() - 1'000}, "old", "").ok());
  CHECK(absl::IsNotFound(w.people.FindSession("old").status()));
  CHECK(absl::IsNotFound(w.people.RotateSession("old", "new", NowMs() + 60'000).status()));

  Accounts accounts(w.people, w.secrets, {});
  graph::v1::Session session;
  REQUIRE(accounts.SignIn(SignIn("anna", "password of anna"), session) == absl::OkStatus());
  CHECK(w.people.FindSession(Sha256(AsBytes(session.refresh_token()))).ok());
  CHECK(absl::IsNotFound(w.people.FindSession(session.refresh_token()).status()));
}

TEST_CASE("the first administrator is made once, also by replicas that start together", "[A4]") {
  World w;
  CHECK(w.accounts.EnsureAdministrator("admin", "").ok());
  CHECK(w.Count("account") == 0);
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] { good += w.accounts.EnsureAdministrator("admin", "a long password").ok(); });
  }
  for (auto& thread : threads) thread.join();
  CHECK(good == 4);
  CHECK(w.Count("account") == 1);
  REQUIRE(w.accounts.EnsureAdministrator("admin", "another password").ok());
  graph::v1::Session session;
  REQUIRE(w.accounts.SignIn(SignIn("admin", "a long password"), session) == absl::OkStatus());
  CHECK(session.user().administrator());

  World taken;
  taken.User("admin");
  CHECK(absl::IsFailedPrecondition(taken.accounts.EnsureAdministrator("admin", "a long password")));
}
