#include "remote_keys.h"

#include "pepeunit/crypto/v1/crypto.pb.h"

namespace pepeunit::gateway {

Authenticator::Fetch KeysFrom(Backends& backends) {
  return [&backends](Authenticator::FetchDone done) {
    const auto* file = crypto::v1::GetVerificationKeysRequest::descriptor()->file();
    BackendCall call;
    call.method = file->FindServiceByName("CryptoService")->FindMethodByName("GetVerificationKeys");
    call.caller = rpc::Caller::Service();
    call.trace = TraceContext::New();
    call.timeout = std::chrono::seconds(5);
    backends.Unary(
        call, crypto::v1::GetVerificationKeysRequest(), [done = std::move(done)](absl::StatusOr<MessagePtr> answer) {
          if (!answer.ok()) return done(answer.status());
          VerificationKeys keys;
          for (const auto& key : static_cast<const crypto::v1::GetVerificationKeysResponse&>(**answer).keys()) {
            keys[key.id()] = key.ed25519();
          }
          done(std::move(keys));
        });
  };
}

}  // namespace pepeunit::gateway
