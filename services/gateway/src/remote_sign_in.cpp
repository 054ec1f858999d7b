#include "remote_sign_in.h"

#include "pepeunit/base/errors.h"
#include "pepeunit/crypto/v1/crypto.pb.h"
#include "pepeunit/graph/v1/internal.pb.h"

namespace pepeunit::gateway {
namespace {

// A call of the gateway's own, to a method of the file that `request` is of.
BackendCall OwnCall(const google::protobuf::Message& request, const char* service, const char* method) {
  BackendCall call;
  call.method = request.GetDescriptor()->file()->FindServiceByName(service)->FindMethodByName(method);
  call.caller = rpc::Caller::Service();
  call.trace = TraceContext::New();
  call.timeout = std::chrono::seconds(5);
  return call;
}

// READ, WRITE and MANAGE each include the ones before it.
absl::StatusOr<PersonalTokens::Opened> ReadOpened(const graph::v1::OpenedPersonalToken& token) {
  const auto user = Uuid::Parse(token.user_id()), id = Uuid::Parse(token.token_id());
  if (!user || !id) return Internal("a personal access token is malformed");
  PersonalTokens::Opened opened;
  opened.expires_at_ms = token.expires_at_ms();
  opened.caller.kind = rpc::Caller::Kind::kUser;
  opened.caller.user_id = *user;
  opened.caller.session_id = *id;
  opened.caller.reach = rpc::Caller::Reach::kRead;
  for (const int scope : token.scopes()) {
    if (scope == graph::v1::TOKEN_SCOPE_WRITE) opened.caller.reach = rpc::Caller::Reach::kWrite;
    if (scope == graph::v1::TOKEN_SCOPE_MANAGE) opened.caller.reach = rpc::Caller::Reach::kManage;
    if (scope == graph::v1::TOKEN_SCOPE_ADMIN) opened.caller.administrator = true;
  }
  return opened;
}

}  // namespace

Authenticator::Fetch KeysFrom(Backends& backends) {
  return [&backends](Authenticator::FetchDone done) {
    const crypto::v1::GetVerificationKeysRequest request;
    backends.Unary(
        OwnCall(request, "CryptoService", "GetVerificationKeys"), request,
        [done = std::move(done)](absl::StatusOr<MessagePtr> answer) {
          if (!answer.ok()) return done(answer.status());
          VerificationKeys keys;
          for (const auto& key : static_cast<const crypto::v1::GetVerificationKeysResponse&>(**answer).keys()) {
            keys[key.id()] = key.ed25519();
          }
          done(std::move(keys));
        });
  };
}

PersonalTokens::Open TokensFrom(Backends& backends) {
  return [&backends](const std::string& sha256, PersonalTokens::OpenDone done) {
    graph::v1::OpenPersonalTokenRequest request;
    request.set_sha256(sha256);
    backends.Unary(OwnCall(request, "GraphInternalService", "OpenPersonalToken"), request,
                   [done = std::move(done)](absl::StatusOr<MessagePtr> answer) {
                     if (!answer.ok()) return done(answer.status());
                     done(ReadOpened(static_cast<const graph::v1::OpenedPersonalToken&>(**answer)));
                   });
  };
}

}  // namespace pepeunit::gateway
