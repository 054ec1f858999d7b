#pragma once

#include <memory>

#include "pepeunit/bus/bus.h"
#include "pepeunit/crypto/v1/crypto.grpc.pb.h"
#include "pepeunit/log/v1/values.grpc.pb.h"
#include "pepeunit/repo/v1/repositories.grpc.pb.h"
#include "pepeunit/rpc/client.h"
#include "ports.h"

// The ports over gRPC and JetStream.
namespace pepeunit::graph_registry {

class CryptoSecretBox final : public SecretBox {
 public:
  explicit CryptoSecretBox(const rpc::Channel& channel);
  absl::StatusOr<std::string> Seal(const std::string& plaintext, const std::string& context) override;
  absl::StatusOr<std::string> SealCredentials(const Uuid& repo_unit,
                                              const graph::v1::RepoCredentials& credentials) override;
  absl::StatusOr<std::string> OpenEnv(const Uuid& unit, const std::string& sealed) override;
  absl::StatusOr<std::string> HashPassword(const std::string& password) override;
  absl::StatusOr<bool> VerifyPassword(const std::string& password, const std::string& hash) override;
  absl::StatusOr<IssuedAccess> IssueAccessToken(const Uuid& user, const Uuid& session, bool administrator,
                                                std::int32_t lifetime_s) override;
  absl::StatusOr<std::string> IssueUnitToken(const Uuid& unit, std::uint32_t generation) override;

 private:
  const rpc::Channel& channel_;
  std::unique_ptr<crypto::v1::CryptoService::Stub> stub_;
};

class RepoSyncVersions final : public Versions {
 public:
  explicit RepoSyncVersions(const rpc::Channel& channel);
  absl::StatusOr<repo::v1::ResolveVersionResponse> Resolve(const repo::v1::ResolveVersionRequest& request) override;

 private:
  const rpc::Channel& channel_;
  std::unique_ptr<repo::v1::RepositoryInternalService::Stub> stub_;
};

class StateLogger final : public ValueGate, public InputValues {
 public:
  explicit StateLogger(const rpc::Channel& channel);
  absl::Status Apply(const std::vector<bus::v1::UnitChanged>& changes) override;
  absl::StatusOr<std::map<Uuid, bus::v1::Scalar>> Of(const Uuid& unit) override;

 private:
  const rpc::Channel& channel_;
  std::unique_ptr<log::v1::ValueInternalService::Stub> stub_;
};

class BusValueStream final : public ValueStream {
 public:
  BusValueStream(bus::Bus& bus, std::uint32_t partitions) : bus_(bus), partitions_(partitions) {}
  absl::Status Write(const bus::v1::InputWrite& write) override;

 private:
  bus::Bus& bus_;
  std::uint32_t partitions_;
};

}  // namespace pepeunit::graph_registry
