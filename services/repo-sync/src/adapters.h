#pragma once

#include <memory>

#include "pepeunit/crypto/v1/crypto.grpc.pb.h"
#include "pepeunit/graph/v1/internal.grpc.pb.h"
#include "pepeunit/rpc/client.h"
#include "repo_events.h"
#include "repositories.h"
#include "syncs.h"

// The ports over gRPC.
namespace pepeunit::repo_sync {

class CryptoCredentialBox final : public CredentialBox {
 public:
  explicit CryptoCredentialBox(const rpc::Channel& channel);
  absl::StatusOr<Credentials> Open(const Uuid& repo_unit, const std::string& sealed) override;

 private:
  const rpc::Channel& channel_;
  std::unique_ptr<crypto::v1::CryptoService::Stub> stub_;
};

class Graph final : public GraphRepositories, public Rights {
 public:
  explicit Graph(const rpc::Channel& channel);
  absl::StatusOr<std::vector<Wanted>> ListAll() override;
  absl::StatusOr<SigningKeys> MayRead(const rpc::Caller& caller, const Uuid& repo_unit) override;

 private:
  const rpc::Channel& channel_;
  std::unique_ptr<graph::v1::GraphInternalService::Stub> stub_;
};

}  // namespace pepeunit::repo_sync
