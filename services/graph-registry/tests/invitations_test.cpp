#include <catch2/catch.hpp>
#include <thread>

#include "instance.h"
#include "pepeunit/base/personal_token.h"
#include "world.h"

using namespace pepeunit;
using namespace pepeunit::graph_registry;

namespace {

struct Invited : World {
  rpc::Caller root = User("root", true), anna = User("anna");
  Accounts by_invitation{people, secrets, {.registration = graph::v1::REGISTRATION_INVITATION}};
  Accounts closed{people, secrets, {.registration = graph::v1::REGISTRATION_CLOSED}};

  graph::v1::IssuedInvitation Invite(std::int64_t life_s = 0) {
    graph::v1::CreateInvitationRequest request;
    request.set_note("for a friend");
    if (life_s > 0) request.mutable_lifetime()->set_seconds(life_s);
    graph::v1::IssuedInvitation issued;
    REQUIRE(invitations.Create(root, request, issued) == absl::OkStatus());
    return issued;
  }
  absl::Status SignUp(Accounts& at, const std::string& login, const std::string& invitation,
                      const rpc::Caller& caller = {}) {
    graph::v1::CreateUserRequest request;
    request.set_login(login);
    request.set_password("a long password");
    request.set_invitation(invitation);
    graph::v1::User user;
    return at.SignUp(caller, request, user);
  }
  std::vector<graph::v1::Invitation> List() {
    graph::v1::ListInvitationsResponse listed;
    REQUIRE(invitations.List(root, {}, listed) == absl::OkStatus());
    return {listed.invitations().begin(), listed.invitations().end()};
  }
};

}  // namespace

TEST_CASE("an invitation is good for one user, and who used it is recorded", "[A5]") {
  Invited w;
  const auto issued = w.Invite();
  CHECK(IsSecretText(kInvitationPrefix, issued.secret()));
  CHECK(Reason(w.SignUp(w.by_invitation, "ben", "")) == "BAD_INVITATION");
  REQUIRE(w.List().size() == 1);
  CHECK(w.List()[0].used_by().empty());
  // A sign-up that fails leaves it good.
  CHECK(absl::IsAlreadyExists(w.SignUp(w.by_invitation, "anna", issued.secret())));
  REQUIRE(w.SignUp(w.by_invitation, "ben", issued.secret()) == absl::OkStatus());
  const auto ben = w.people.FindAccount("ben");
  REQUIRE(ben.ok());
  CHECK(w.List()[0].used_by() == ben->user.id());
  CHECK(w.List()[0].has_used_at());
  CHECK(w.List()[0].note() == "for a friend");
  CHECK(w.Count("audit WHERE action = 'user.create' AND node_id = '" + ben->user.id() +
                "' AND details->>'invitation_id' = '" + issued.id() + "'") == 1);
  CHECK(w.TablesWith(issued.secret()).empty());
}

TEST_CASE("of many who come with one invitation at once, one gets in", "[A5]") {
  Invited w;
  const auto issued = w.Invite();
  std::vector<std::thread> threads;
  std::atomic<int> good = 0, bad = 0;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      const absl::Status status = w.SignUp(w.by_invitation, "guest-" + std::to_string(i), issued.secret());
      good += status.ok();
      bad += Reason(status) == "BAD_INVITATION";
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(good == 1);
  CHECK(bad == 7);
  CHECK(w.Count("account WHERE login LIKE 'guest-%'") == 1);
}

TEST_CASE("invitations that do not live answer alike", "[A5]") {
  Invited w;
  const auto used = w.Invite(), expired = w.Invite(), revoked = w.Invite();
  REQUIRE(w.SignUp(w.by_invitation, "ben", used.secret()) == absl::OkStatus());
  w.Sql("UPDATE invitation SET expires_at = now() WHERE id = '" + expired.id() + "'");
  CHECK(absl::IsFailedPrecondition(w.invitations.Delete(w.root, used.id())));
  REQUIRE(w.invitations.Delete(w.root, revoked.id()) == absl::OkStatus());
  CHECK(absl::IsNotFound(w.invitations.Delete(w.root, revoked.id())));
  const absl::Status missing = w.SignUp(w.by_invitation, "carl", "");
  for (const std::string& secret : {used.secret(), expired.secret(), revoked.secret(), NewSecretText(kInvitationPrefix),
                                    std::string("nonsense"), NewPersonalToken(), std::string("a\0b", 3)}) {
    const absl::Status status = w.SignUp(w.by_invitation, "carl", secret);
    CHECK(status.code() == absl::StatusCode::kPermissionDenied);
    CHECK(Reason(status) == "BAD_INVITATION");
    CHECK(status.message() == missing.message());
  }
  CHECK(absl::IsNotFound(w.people.FindAccount("carl").status()));
  CHECK(w.List().size() == 2);
  w.Sql("UPDATE invitation SET expires_at = now() - interval '91 days' WHERE id = '" + expired.id() + "'");
  CHECK(w.invitation_store.ForgetInvitations().value() == 1);
  CHECK(w.List().size() == 1);
}

TEST_CASE("administrators make users whatever the registration is, and nobody else does", "[A5]") {
  Invited w;
  const auto issued = w.Invite();
  CHECK(Reason(w.SignUp(w.closed, "ben", issued.secret())) == "REGISTRATION_CLOSED");
  CHECK(Reason(w.SignUp(w.closed, "ben", issued.secret(), w.anna)) == "REGISTRATION_CLOSED");
  rpc::Caller reads = w.root;
  reads.reach = rpc::Caller::Reach::kRead;
  CHECK(Reason(w.SignUp(w.closed, "ben", "", reads)) == "REGISTRATION_CLOSED");
  REQUIRE(w.SignUp(w.closed, "ben", "", w.root) == absl::OkStatus());
  REQUIRE(w.SignUp(w.by_invitation, "carl", "", w.root) == absl::OkStatus());
  CHECK(w.Count("audit WHERE action = 'user.create' AND node_name = 'ben' AND actor_id = '" +
                w.root.user_id.ToString() + "'") == 1);
  // Where everybody may come, an invitation stays good.
  REQUIRE(w.SignUp(w.accounts, "dora", issued.secret()) == absl::OkStatus());
  CHECK(w.List()[0].used_by().empty());
  graph::v1::Instance instance;
  REQUIRE(Instance(w.by_invitation, w.oidc).Get(instance) == absl::OkStatus());
  CHECK(instance.registration() == graph::v1::REGISTRATION_INVITATION);
}

TEST_CASE("invitations are for administrators, and bounded", "[A5]") {
  Invited w;
  graph::v1::CreateInvitationRequest request;
  graph::v1::IssuedInvitation issued;
  graph::v1::ListInvitationsResponse listed;
  CHECK(Reason(w.invitations.Create({}, request, issued)) == "UNAUTHENTICATED");
  CHECK(Reason(w.invitations.Create(w.anna, request, issued)) == "FORBIDDEN");
  CHECK(Reason(w.invitations.List(w.anna, {}, listed)) == "FORBIDDEN");
  CHECK(Reason(w.invitations.Delete(w.anna, Uuid::New().ToString())) == "FORBIDDEN");
  rpc::Caller reads = w.root;
  reads.reach = rpc::Caller::Reach::kRead;
  CHECK(Reason(w.invitations.Create(reads, request, issued)) == "FORBIDDEN");
  CHECK(w.invitations.List(reads, {}, listed).ok());
  for (const std::int64_t seconds : {std::int64_t{59}, std::int64_t{90} * 86'400 + 1, std::int64_t{-1}}) {
    request.mutable_lifetime()->set_seconds(seconds);
    request.set_note(std::string(129, 'x'));
    CHECK(Violations(w.invitations.Create(w.root, request, issued)) == "note lifetime");
  }
  w.Sql(
      "INSERT INTO invitation (id, secret_hash, note, created_by, expires_at) SELECT gen_random_uuid(),"
      " decode(lpad(to_hex(i), 8, '0'), 'hex'), '', gen_random_uuid(), now() + interval '1 day'"
      " FROM generate_series(1, 1000) i");
  request.Clear();
  CHECK(absl::IsResourceExhausted(w.invitations.Create(w.root, request, issued)));
  w.Sql("UPDATE invitation SET expires_at = now() WHERE secret_hash = decode('00000001', 'hex')");
  REQUIRE(w.invitations.Create(w.root, request, issued) == absl::OkStatus());
  const auto week = issued.invitation().expires_at().seconds() - issued.invitation().created_at().seconds();
  CHECK(week == 7 * 86'400);
}
