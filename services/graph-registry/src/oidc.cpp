#include "oidc.h"

#include <google/protobuf/util/time_util.h>

#include "fields.h"
#include "pepeunit/base/bytes.h"
#include "pepeunit/base/clock.h"
#include "rights.h"

namespace pepeunit::graph_registry {
namespace {

using google::protobuf::util::TimeUtil;

constexpr std::int64_t kFlowLifeMs = 600'000;
constexpr std::int64_t kMostFlowsOfAddress = 50;
constexpr std::int64_t kMostFlows = 10'000;
constexpr std::int64_t kMostIdentities = 20;  // of one user
constexpr std::size_t kMostCodeBytes = 4096;  // what a provider may send back

std::string RandomText() { return Base64UrlEncode(AsBytes(RandomBytes(32))); }
std::string HashOfText(const std::string& text) { return Sha256(AsBytes(text)); }

// Neither the salt, which lies here, nor the secret, which lies in the browser, tells them alone.
OidcSecrets SecretsOf(const std::string& state, const std::string& salt, const std::string& flow_secret) {
  const auto derive = [&](const char* what) { return Base64UrlEncode(AsBytes(HashOfText(what + salt + flow_secret))); };
  return {.state = state, .nonce = derive("nonce:"), .verifier = derive("verifier:")};
}

absl::Status NoSuchFlow() { return Unauthenticated("This sign-in is unknown, used or expired; begin again."); }

std::string Cut(const std::string& text, std::size_t most) { return CountCharacters(text) > most ? "" : text; }

}  // namespace

IdentityProvider* Oidc::Find(const std::string& name) const {
  for (const auto& provider : providers_) {
    if (provider->Description().name() == name) return provider.get();
  }
  return nullptr;
}

absl::Status Oidc::List(graph::v1::ListOidcProvidersResponse& out) const {
  for (const auto& provider : providers_) *out.add_providers() = provider->Description();
  return absl::OkStatus();
}

absl::Status Oidc::Begin(const rpc::Caller& caller, const graph::v1::BeginOidcRequest& request,
                         graph::v1::OidcFlow& out) {
  if (request.link()) PEPEUNIT_RETURN_IF_ERROR(RequireSession(caller));
  IdentityProvider* provider = Find(request.provider());
  if (provider == nullptr) return NotFound("provider");
  std::string invitation_hash;
  if (!request.invitation().empty()) {
    if (request.link()) return InvalidField("invitation", "is for a first sign-in, not for a link");
    PEPEUNIT_ASSIGN_OR_RETURN(invitation_hash, accounts_.CheckInvitation(request.invitation(), caller.client_address));
  }
  const std::string state = RandomText(), flow_secret = RandomText();
  const OidcFlowRow flow{.state_hash = HashOfText(state),
                         .secret_hash = HashOfText(flow_secret),
                         .provider = request.provider(),
                         .salt = RandomBytes(32),
                         .user = request.link() ? caller.user_id : Uuid{},
                         .client_address = caller.client_address,
                         .expires_at_ms = NowMs() + kFlowLifeMs,
                         .invitation_hash = invitation_hash};
  PEPEUNIT_ASSIGN_OR_RETURN(*out.mutable_authorization_url(),
                            provider->AuthorizationUrl(SecretsOf(state, flow.salt, flow_secret)));
  PEPEUNIT_RETURN_IF_ERROR(store_.CreateFlow(flow, kMostFlowsOfAddress, kMostFlows));
  out.set_state(state);
  out.set_flow_secret(flow_secret);
  *out.mutable_expires_at() = TimeUtil::MillisecondsToTimestamp(flow.expires_at_ms);
  return absl::OkStatus();
}

absl::StatusOr<IdentityRow> Oidc::Redeem(const graph::v1::FinishOidcRequest& request, const Uuid& user) {
  Fields fields;
  const auto bounded = [&](const std::string& field, const std::string& text, std::size_t most) {
    if (text.empty() || text.size() > most) fields.Fail(field, "is missing or too long");
  };
  bounded("code", request.code(), kMostCodeBytes);
  bounded("state", request.state(), 256);
  bounded("flow_secret", request.flow_secret(), 256);
  if (request.iss().size() > kMostCodeBytes) fields.Fail("iss", "is too long");
  PEPEUNIT_RETURN_IF_ERROR(fields.Finish());
  const auto flow = store_.TakeFlow(HashOfText(request.state()), HashOfText(request.flow_secret()), user);
  if (absl::IsNotFound(flow.status())) return NoSuchFlow();
  if (!flow.ok()) return flow.status();
  IdentityProvider* provider = Find(flow->provider);
  if (provider == nullptr) return NoSuchFlow();
  PEPEUNIT_ASSIGN_OR_RETURN(const OidcPerson person,
                            provider->Redeem({.code = request.code(), .iss = request.iss()},
                                             SecretsOf(request.state(), flow->salt, request.flow_secret())));
  IdentityRow row;
  row.identity.set_id(Uuid::New().ToString());
  row.identity.set_provider(flow->provider);
  row.identity.set_issuer(person.issuer);
  row.identity.set_name(Cut(person.name, 128));
  *row.identity.mutable_created_at() = TimeUtil::MillisecondsToTimestamp(NowMs());
  row.subject = person.subject;
  row.invitation_hash = flow->invitation_hash;
  return row;
}

absl::Status Oidc::Finish(const rpc::Caller& caller, const graph::v1::FinishOidcRequest& request,
                          graph::v1::Session& out) {
  PEPEUNIT_ASSIGN_OR_RETURN(const IdentityRow row, Redeem(request, Uuid{}));
  auto user = store_.FindIdentity(row.identity.issuer(), row.subject);
  if (absl::IsNotFound(user.status())) user = SignUp(caller, row);
  if (!user.ok()) return user.status();
  return accounts_.OpenSession(*user, "", out, caller.client_address);
}

absl::StatusOr<Uuid> Oidc::SignUp(const rpc::Caller& caller, const IdentityRow& row) {
  constexpr int kMostTries = 5;
  absl::StatusOr<Uuid> made = Internal("no login was tried");
  for (int tries = 0; tries < kMostTries; ++tries) {
    // Whoever has the plain login already keeps it.
    const std::string tail = tries == 0 ? "" : "-" + HexEncode(AsBytes(RandomBytes(3)));
    const bool invited = !row.invitation_hash.empty();
    PEPEUNIT_ASSIGN_OR_RETURN(const Account account, accounts_.WithoutPassword(row.identity.name(), tail, invited));
    const Actor actor{.user = *Uuid::Parse(account.user.id()), .client_address = caller.client_address};
    made = store_.CreateAccountWith(actor, row, account);
    if (!absl::IsAlreadyExists(made.status())) break;
  }
  return made;
}

absl::Status Oidc::Link(const rpc::Caller& caller, const graph::v1::FinishOidcRequest& request,
                        graph::v1::Identity& out) {
  PEPEUNIT_RETURN_IF_ERROR(RequireSession(caller));
  PEPEUNIT_ASSIGN_OR_RETURN(const IdentityRow row, Redeem(request, caller.user_id));
  PEPEUNIT_RETURN_IF_ERROR(store_.CreateIdentity(ActorOf(caller), row, kMostIdentities));
  out = row.identity;
  return absl::OkStatus();
}

absl::Status Oidc::ListIdentities(const rpc::Caller& caller, const graph::v1::ListIdentitiesRequest& request,
                                  graph::v1::ListIdentitiesResponse& out) {
  PEPEUNIT_RETURN_IF_ERROR(RequireSession(caller));
  const std::string list = "identities " + caller.user_id.ToString();
  PEPEUNIT_ASSIGN_OR_RETURN(const Page page, ReadPage(list, request.page_size(), request.cursor()));
  PEPEUNIT_ASSIGN_OR_RETURN(auto rows, store_.ListIdentities(caller.user_id, page));
  out.set_next_cursor(CutPage(list, page, &rows));
  for (auto& row : rows) *out.add_identities() = std::move(row);
  return absl::OkStatus();
}

absl::Status Oidc::Unlink(const rpc::Caller& caller, const std::string& id) {
  PEPEUNIT_RETURN_IF_ERROR(RequireSession(caller));
  const auto uuid = Uuid::Parse(id);
  if (!uuid) return InvalidField("id", "is not a UUID");
  return store_.DeleteIdentity(ActorOf(caller), *uuid);
}

}  // namespace pepeunit::graph_registry
