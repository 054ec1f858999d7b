#include <catch2/catch.hpp>

#include "world.h"

using namespace pepeunit;
using namespace pepeunit::graph_registry;

namespace {

// A provider that vouches for whomever the code names, if the secrets are those of the beginning.
class MemoryProvider final : public IdentityProvider {
 public:
  absl::Status status;
  std::vector<OidcSecrets> begun;
  std::vector<OidcPerson> people;  // by code: "0", "1" ...

  graph::v1::OidcProvider Description() const override {
    graph::v1::OidcProvider description;
    description.set_name("memory");
    description.set_issuer("https://id.example");
    return description;
  }
  absl::StatusOr<std::string> AuthorizationUrl(const OidcSecrets& secrets) override {
    if (!status.ok()) return status;
    begun.push_back(secrets);
    return "https://id.example/authorize";
  }
  absl::StatusOr<OidcPerson> Redeem(const OidcAnswer& answer, const OidcSecrets& secrets) override {
    if (!status.ok()) return status;
    for (const OidcSecrets& each : begun) {
      if (each.state == secrets.state && each.nonce == secrets.nonce && each.verifier == secrets.verifier)
        return people.at(static_cast<std::size_t>(std::stoi(answer.code)));
    }
    return Internal("other secrets");
  }
};

struct OidcWorld : World {
  MemoryProvider* provider = nullptr;
  Oidc made = Made(accounts);

  Oidc Made(Accounts& whose) {
    auto memory = std::make_unique<MemoryProvider>();
    provider = memory.get();
    provider->people = {{"https://id.example", "s-0", "Anna"}, {"https://id.example", "s-1", "Anna"}};
    Oidc::Providers providers;
    providers.push_back(std::move(memory));
    return {identities, whose, std::move(providers)};
  }

  graph::v1::FinishOidcRequest Begin(const std::string& code, const rpc::Caller& who = {}, bool link = false) {
    graph::v1::BeginOidcRequest request;
    request.set_provider("memory");
    request.set_link(link);
    graph::v1::OidcFlow flow;
    REQUIRE(made.Begin(who, request, flow) == absl::OkStatus());
    graph::v1::FinishOidcRequest finish;
    finish.set_code(code);
    finish.set_state(flow.state());
    finish.set_flow_secret(flow.flow_secret());
    return finish;
  }
  graph::v1::Session SignIn(const std::string& code) {
    graph::v1::Session session;
    REQUIRE(made.Finish({}, Begin(code), session) == absl::OkStatus());
    return session;
  }
};

}  // namespace

TEST_CASE("who signs in from elsewhere gets a user of his own, and the same one the next time", "[A5]") {
  OidcWorld w;
  const auto first = w.SignIn("0"), again = w.SignIn("0"), other = w.SignIn("1");
  CHECK(first.user().login() == "anna");
  CHECK_FALSE(first.user().administrator());
  CHECK(again.user().id() == first.user().id());
  CHECK(again.id() != first.id());
  CHECK(other.user().id() != first.user().id());
  CHECK(other.user().login().starts_with("anna-"));
  CHECK_FALSE(first.refresh_token().empty());
  // He has no password to sign in with.
  graph::v1::CreateSessionRequest request;
  request.set_login("anna");
  request.set_password("x");
  graph::v1::Session session;
  CHECK(Reason(w.accounts.SignIn(request, session)) == "BAD_CREDENTIALS");
  CHECK(w.Count("audit WHERE action = 'identity.create' AND actor_id = '" + first.user().id() + "'") == 1);
}

TEST_CASE("a sign-in is finished once, in time, and by the browser that began it", "[A5]") {
  OidcWorld w;
  graph::v1::Session session;
  const auto finish = w.Begin("0");
  CHECK(w.provider->begun[0].nonce != w.provider->begun[0].verifier);
  CHECK(w.provider->begun[0].verifier.size() == 43);
  auto stolen = finish;
  stolen.set_flow_secret("another");
  CHECK(Reason(w.made.Finish({}, stolen, session)) == "UNAUTHENTICATED");
  auto mixed = finish;
  mixed.set_state(w.Begin("0").state());
  CHECK(Reason(w.made.Finish({}, mixed, session)) == "UNAUTHENTICATED");
  CHECK(w.made.Finish({}, finish, session) == absl::OkStatus());
  CHECK(Reason(w.made.Finish({}, finish, session)) == "UNAUTHENTICATED");
  const auto late = w.Begin("0");
  REQUIRE(w.pool.Transact("sql", [&](pqxx::work& tx) {
    tx.exec("UPDATE oidc_flow SET expires_at = now()");
    return absl::OkStatus();
  }) == absl::OkStatus());
  CHECK(Reason(w.made.Finish({}, late, session)) == "UNAUTHENTICATED");
  CHECK(Violations(w.made.Finish({}, {}, session)) == "code state flow_secret");
  // Neither is kept as it is.
  CHECK(w.Count("oidc_flow WHERE position('" + late.state() + "' IN oidc_flow::text) > 0") == 0);
}

TEST_CASE("while registration is closed only linked accounts sign in", "[A5]") {
  OidcWorld w;
  Accounts closed(w.people, w.secrets, {.registration = graph::v1::REGISTRATION_CLOSED});
  Oidc oidc = w.Made(closed);
  const rpc::Caller ben = w.User("ben");
  graph::v1::BeginOidcRequest begin;
  begin.set_provider("memory");
  const auto start = [&](const rpc::Caller& who, bool link) {
    begin.set_link(link);
    graph::v1::OidcFlow flow;
    REQUIRE(oidc.Begin(who, begin, flow) == absl::OkStatus());
    graph::v1::FinishOidcRequest finish;
    finish.set_code("0");
    finish.set_state(flow.state());
    finish.set_flow_secret(flow.flow_secret());
    return finish;
  };
  graph::v1::Session session;
  CHECK(Reason(oidc.Finish({}, start({}, false), session)) == "REGISTRATION_CLOSED");
  graph::v1::Identity identity;
  REQUIRE(oidc.Link(ben, start(ben, true), identity) == absl::OkStatus());
  REQUIRE(oidc.Finish({}, start({}, false), session) == absl::OkStatus());
  CHECK(session.user().id() == ben.user_id.ToString());
}

TEST_CASE("accounts elsewhere are linked by their user alone, and unlinked", "[A5]") {
  OidcWorld w;
  const rpc::Caller ben = w.User("ben"), eve = w.User("eve");
  graph::v1::Identity identity;
  graph::v1::Session session;
  // What one began, no other finishes, nor is a link a sign-in.
  auto finish = w.Begin("0", ben, true);
  CHECK(Reason(w.made.Link(eve, finish, identity)) == "UNAUTHENTICATED");
  CHECK(Reason(w.made.Finish({}, finish, session)) == "UNAUTHENTICATED");
  CHECK(Reason(w.made.Link(eve, w.Begin("0"), identity)) == "UNAUTHENTICATED");
  CHECK(Reason(w.made.Link({}, finish, identity)) == "UNAUTHENTICATED");
  REQUIRE(w.made.Link(ben, finish, identity) == absl::OkStatus());
  CHECK(identity.provider() == "memory");
  CHECK(identity.name() == "Anna");
  CHECK(Reason(w.made.Link(eve, w.Begin("0", eve, true), identity)) == "ALREADY_EXISTS");
  CHECK(w.SignIn("0").user().login() == "ben");

  graph::v1::ListIdentitiesResponse list;
  REQUIRE(w.made.ListIdentities(ben, {}, list) == absl::OkStatus());
  REQUIRE(list.identities_size() == 1);
  CHECK(list.identities(0).id() == identity.id());
  CHECK(absl::IsNotFound(w.made.Unlink(eve, identity.id())));
  REQUIRE(w.made.Unlink(ben, identity.id()) == absl::OkStatus());
  CHECK(w.SignIn("0").user().login() == "anna");
  CHECK(w.Count("audit WHERE action = 'identity.delete' AND actor_id = '" + ben.user_id.ToString() + "'") == 1);

  // A personal token touches none of this.
  rpc::Caller token = ben;
  token.reach = rpc::Caller::Reach::kManage;
  graph::v1::BeginOidcRequest begin;
  begin.set_provider("memory");
  begin.set_link(true);
  graph::v1::OidcFlow flow;
  CHECK(Reason(w.made.Begin(token, begin, flow)) == "FORBIDDEN");
  CHECK(Reason(w.made.Begin({}, begin, flow)) == "UNAUTHENTICATED");
  CHECK(Reason(w.made.Link(token, finish, identity)) == "FORBIDDEN");
  CHECK(Reason(w.made.ListIdentities(token, {}, list)) == "FORBIDDEN");
  CHECK(Reason(w.made.Unlink(token, identity.id())) == "FORBIDDEN");
}

TEST_CASE("the last way to sign in stays", "[A5]") {
  OidcWorld w;
  const auto session = w.SignIn("0");
  const rpc::Caller anna{.kind = rpc::Caller::Kind::kUser, .user_id = *Uuid::Parse(session.user().id())};
  graph::v1::ListIdentitiesResponse list;
  REQUIRE(w.made.ListIdentities(anna, {}, list) == absl::OkStatus());
  REQUIRE(list.identities_size() == 1);
  CHECK(Reason(w.made.Unlink(anna, list.identities(0).id())) == "LAST_SIGN_IN");
  graph::v1::Identity second;
  REQUIRE(w.made.Link(anna, w.Begin("1", anna, true), second) == absl::OkStatus());
  CHECK(w.made.Unlink(anna, list.identities(0).id()) == absl::OkStatus());
  CHECK(Reason(w.made.Unlink(anna, second.id())) == "LAST_SIGN_IN");
  CHECK(w.Count("identity") == 1);
}

TEST_CASE("sign-ins that nobody finishes are bounded, and a provider that is away begins none", "[A5]") {
  OidcWorld w;
  rpc::Caller somebody;
  somebody.client_address = "192.0.2.1";
  for (int i = 0; i < 50; ++i) w.Begin("0", somebody);
  graph::v1::BeginOidcRequest request;
  request.set_provider("memory");
  graph::v1::OidcFlow flow;
  CHECK(Reason(w.made.Begin(somebody, request, flow)) == "LIMIT");
  somebody.client_address = "192.0.2.2";
  CHECK(w.made.Begin(somebody, request, flow) == absl::OkStatus());
  OidcFlowRow row{.state_hash = "h",
                  .secret_hash = "s",
                  .provider = "memory",
                  .salt = "",
                  .user = {},
                  .client_address = "192.0.2.3",
                  .expires_at_ms = NowMs() + 900'000};
  REQUIRE(w.identities.CreateFlow(row, 50, 10) == absl::OkStatus());
  CHECK(w.Count("oidc_flow") == 10);
  CHECK(w.identities.TakeFlow("h", "s", {}).ok());

  request.set_provider("other");
  CHECK(absl::IsNotFound(w.made.Begin({}, request, flow)));
  request.set_provider("memory");
  w.provider->status = Unavailable("away");
  CHECK(absl::IsUnavailable(w.made.Begin({}, request, flow)));
}

TEST_CASE("a login is made from any name", "[A5]") {
  World w;
  const auto login = [&](const std::string& name, const std::string& tail = "") {
    return w.accounts.WithoutPassword(name, tail, false)->user.login();
  };
  CHECK(login("Anna.K") == "anna.k");
  CHECK(login("anna@example.org") == "anna");
  CHECK(login("42anna") == "anna");
  CHECK(login("") == "user");
  CHECK(login("Анна") == "user");
  CHECK(login("<b>x</b>") == "bxb");
  CHECK(login(std::string(100, 'a'), "-123456").size() == 32);
}

TEST_CASE("where registration is by invitation, a first sign-in from elsewhere needs one", "[A5]") {
  OidcWorld w;
  const rpc::Caller root = w.User("root", true);
  Accounts invited(w.people, w.secrets, {.registration = graph::v1::REGISTRATION_INVITATION});
  Oidc oidc = w.Made(invited);
  graph::v1::IssuedInvitation issued;
  REQUIRE(w.invitations.Create(root, {}, issued) == absl::OkStatus());
  const auto begin = [&](const std::string& code, const std::string& invitation, graph::v1::FinishOidcRequest* finish) {
    graph::v1::BeginOidcRequest request;
    request.set_provider("memory");
    request.set_invitation(invitation);
    graph::v1::OidcFlow flow;
    PEPEUNIT_RETURN_IF_ERROR(oidc.Begin({}, request, flow));
    finish->set_code(code);
    finish->set_state(flow.state());
    finish->set_flow_secret(flow.flow_secret());
    return absl::OkStatus();
  };
  graph::v1::FinishOidcRequest finish, rival;
  graph::v1::Session session;
  CHECK(Reason(begin("0", "nonsense", &finish)) == "BAD_INVITATION");
  REQUIRE(begin("0", "", &finish) == absl::OkStatus());
  CHECK(Reason(oidc.Finish({}, finish, session)) == "BAD_INVITATION");
  REQUIRE(begin("0", issued.secret(), &finish) == absl::OkStatus());
  REQUIRE(begin("1", issued.secret(), &rival) == absl::OkStatus());
  CHECK(w.TablesWith(issued.secret()).empty());
  REQUIRE(oidc.Finish({}, finish, session) == absl::OkStatus());
  CHECK(w.Count("invitation WHERE used_by = '" + session.user().id() + "'") == 1);
  CHECK(Reason(oidc.Finish({}, rival, session)) == "BAD_INVITATION");
  CHECK(w.Count("account") == 2);
  // From then on he needs none.
  REQUIRE(begin("0", "", &finish) == absl::OkStatus());
  CHECK(oidc.Finish({}, finish, session) == absl::OkStatus());
}
