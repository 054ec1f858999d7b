#pragma once

#include <memory>

#include "pepeunit/crypto/v1/crypto.grpc.pb.h"
#include "pepeunit/graph/v1/internal.grpc.pb.h"
#include "pepeunit/repo/v1/repositories.grpc.pb.h"
#include "pepeunit/rpc/client.h"
#include "sources.h"

namespace pepeunit::archive {

// Asks graph-registry, crypto and repo-sync. Thread-safe.
class RemoteSources final : public Sources {
 public:
  // All outlive it.
  RemoteSources(const rpc::Channel& graph, const rpc::Channel& crypto, const rpc::Channel& repo);

  absl::StatusOr<Package> GetPackage(const rpc::Context& call, const Uuid& unit) override;
  absl::StatusOr<std::string> OpenEnv(const rpc::Context& call, const Package& package) override;
  absl::Status ReadTree(const rpc::Context& call, const Package& package,
                        const std::function<absl::Status(const Piece&)>& take) override;

 private:
  const rpc::Channel &graph_channel_, &crypto_channel_, &repo_channel_;
  std::unique_ptr<graph::v1::GraphInternalService::Stub> graph_;
  std::unique_ptr<crypto::v1::CryptoService::Stub> crypto_;
  std::unique_ptr<repo::v1::RepositoryInternalService::Stub> repo_;
};

}  // namespace pepeunit::archive
