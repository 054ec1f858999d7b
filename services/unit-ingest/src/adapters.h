#pragma once

#include <memory>

#include "edge.h"
#include "pepeunit/archive/v1/archive.grpc.pb.h"
#include "pepeunit/crypto/v1/crypto.grpc.pb.h"
#include "pepeunit/graph/v1/internal.grpc.pb.h"
#include "pepeunit/log/v1/values.grpc.pb.h"
#include "pepeunit/rpc/client.h"
#include "ports.h"

// The ports over gRPC and the bus.
namespace pepeunit::unit_ingest {

class RemoteSource final : public Source {
 public:
  RemoteSource(const rpc::Channel& graph, const rpc::Channel& crypto, const rpc::Channel& log);
  absl::StatusOr<TokenFacts> OpenToken(const std::string& token) override;
  absl::StatusOr<Loaded> Load(const Uuid& unit) override;
  absl::StatusOr<Standing> LoadStanding(const Uuid& unit) override;

 private:
  absl::StatusOr<log::v1::UnitSnapshot> Snapshot(const Uuid& unit);

  const rpc::Channel& graph_;
  const rpc::Channel& crypto_;
  const rpc::Channel& log_;
  std::unique_ptr<graph::v1::GraphInternalService::Stub> graph_stub_;
  std::unique_ptr<crypto::v1::CryptoService::Stub> crypto_stub_;
  std::unique_ptr<log::v1::ValueInternalService::Stub> log_stub_;
};

class RemoteFirmware final : public Firmware {
 public:
  explicit RemoteFirmware(const rpc::Channel& archive);
  absl::StatusOr<archive::v1::UpdateManifest> Manifest(const Profile& profile, const std::string& have, int from,
                                                       int limit) override;
  absl::StatusOr<archive::v1::ReadUpdateFileResponse> Read(const Profile& profile, const std::string& path,
                                                           std::int64_t offset, std::int64_t length) override;

 private:
  const rpc::Channel& archive_;
  std::unique_ptr<archive::v1::ArchiveInternalService::Stub> stub_;
};

class BusSink final : public ReportSink {
 public:
  BusSink(bus::Bus& bus, std::uint32_t partitions) : bus_(bus), partitions_(partitions) {}
  void Tell(const Uuid& unit, std::string payload, const std::string& traceparent,
            std::function<void(bus::PublishResult)> done) override;
  void Publish(const Uuid& unit, std::string payload, std::uint64_t expected,
               std::function<void(bus::PublishResult)> done) override;
  std::size_t waiting() const override { return bus_.outstanding(); }
  void TellInput(const bus::v1::InputChanged& changed) override;

 private:
  bus::Bus& bus_;
  const std::uint32_t partitions_;
};

// Subscribes the edge's cache to what changes under it; ends with the object.
class CacheEvents {
 public:
  CacheEvents(bus::Bus& bus, Edge& edge);

 private:
  std::unique_ptr<bus::Subscription> units_, voided_, inputs_;
};

}  // namespace pepeunit::unit_ingest
