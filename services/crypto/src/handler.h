#pragma once

#include "api.h"
#include "pepeunit/crypto/v1/crypto.grpc.pb.h"
#include "pepeunit/rpc/server.h"

namespace pepeunit::crypto {

// The gRPC face: forwards and decides nothing. Calls that hash run apart from the others.
class Handler final : public v1::CryptoService::CallbackService {
  // Before its uses, for its type is deduced.
  template <typename Request, typename Response>
  auto Forward(absl::Status (Api::*method)(const Request&, Response&)) {
    return [&api = api_, method](const rpc::Context&, const Request& q, Response& r) { return (api.*method)(q, r); };
  }

 public:
  // All outlive it.
  Handler(rpc::Calls& calls, rpc::Calls& password_calls, Api& api)
      : calls_(calls), password_calls_(password_calls), api_(api) {}

  grpc::ServerUnaryReactor* Seal(grpc::CallbackServerContext* c, const v1::SealRequest* q,
                                 v1::SealResponse* r) override {
    return calls_.Unary(c, q, r, Forward(&Api::Seal));
  }
  grpc::ServerUnaryReactor* Open(grpc::CallbackServerContext* c, const v1::OpenRequest* q,
                                 v1::OpenResponse* r) override {
    return calls_.Unary(c, q, r, Forward(&Api::Open));
  }
  grpc::ServerUnaryReactor* HashPassword(grpc::CallbackServerContext* c, const v1::HashPasswordRequest* q,
                                         v1::HashPasswordResponse* r) override {
    return password_calls_.Unary(c, q, r, Forward(&Api::HashPassword));
  }
  grpc::ServerUnaryReactor* VerifyPassword(grpc::CallbackServerContext* c, const v1::VerifyPasswordRequest* q,
                                           v1::VerifyPasswordResponse* r) override {
    return password_calls_.Unary(c, q, r, Forward(&Api::VerifyPassword));
  }
  grpc::ServerUnaryReactor* IssueAccessToken(grpc::CallbackServerContext* c, const v1::IssueAccessTokenRequest* q,
                                             v1::IssueAccessTokenResponse* r) override {
    return calls_.Unary(c, q, r, Forward(&Api::IssueAccessToken));
  }
  grpc::ServerUnaryReactor* GetVerificationKeys(grpc::CallbackServerContext* c, const v1::GetVerificationKeysRequest* q,
                                                v1::GetVerificationKeysResponse* r) override {
    return calls_.Unary(c, q, r, Forward(&Api::GetVerificationKeys));
  }
  grpc::ServerUnaryReactor* IssueUnitToken(grpc::CallbackServerContext* c, const v1::IssueUnitTokenRequest* q,
                                           v1::IssueUnitTokenResponse* r) override {
    return calls_.Unary(c, q, r, Forward(&Api::IssueUnitToken));
  }
  grpc::ServerUnaryReactor* OpenUnitToken(grpc::CallbackServerContext* c, const v1::OpenUnitTokenRequest* q,
                                          v1::OpenUnitTokenResponse* r) override {
    return calls_.Unary(c, q, r, Forward(&Api::OpenUnitToken));
  }

 private:
  rpc::Calls& calls_;
  rpc::Calls& password_calls_;
  Api& api_;
};

}  // namespace pepeunit::crypto
