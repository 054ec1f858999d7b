#pragma once

#include <memory>
#include <string>

#include "pepeunit/bus/bus.h"
#include "pepeunit/graph/v1/internal.grpc.pb.h"
#include "pepeunit/log/v1/values.pb.h"
#include "pepeunit/rpc/client.h"
#include "pepeunit/rpc/server.h"
#include "store.h"

namespace pepeunit::state_logger {

// Who may see what: the graph decides, for the caller of our own rpc.
class Rights {
 public:
  virtual ~Rights() = default;
  virtual absl::StatusOr<graph::v1::AuthorizeResponse> Authorize(const rpc::Caller& caller, const std::string& node,
                                                                 graph::v1::Permission permission) = 0;
  // Both ends of it.
  virtual absl::Status MaySeeLink(const rpc::Caller& caller, const std::string& link) = 0;
  // Those that the caller may see, by their ids.
  virtual absl::StatusOr<graph::v1::FindOutputsResponse> FindOutputs(const rpc::Caller& caller,
                                                                     const graph::v1::FindOutputsRequest& filter) = 0;

  // UNAUTHENTICATED for whoever may not ask for anything any more: a user who is blocked, a token that is void.
  absl::Status Admit(const rpc::Caller& caller);
  absl::StatusOr<graph::v1::AuthorizeResponse> MayRead(const rpc::Caller& caller, const std::string& node) {
    return Authorize(caller, node, graph::v1::PERMISSION_READ);
  }
  absl::StatusOr<graph::v1::AuthorizeResponse> MayOwn(const rpc::Caller& caller, const std::string& node) {
    return Authorize(caller, node, graph::v1::PERMISSION_OWN);
  }
};

class GraphRights final : public Rights {
 public:
  explicit GraphRights(const rpc::Channel& channel)
      : channel_(channel), stub_(graph::v1::GraphInternalService::NewStub(channel.grpc())) {}
  absl::StatusOr<graph::v1::AuthorizeResponse> Authorize(const rpc::Caller& caller, const std::string& node,
                                                         graph::v1::Permission permission) override;
  absl::Status MaySeeLink(const rpc::Caller& caller, const std::string& link) override;
  absl::StatusOr<graph::v1::FindOutputsResponse> FindOutputs(const rpc::Caller& caller,
                                                             const graph::v1::FindOutputsRequest& filter) override;

 private:
  const rpc::Channel& channel_;
  std::unique_ptr<graph::v1::GraphInternalService::Stub> stub_;
};

// Answers what the values are and were (D1). Thread-safe.
class Values {
 public:
  Values(ValueStore& store, Rights& rights) : store_(store), rights_(rights) {}

  absl::Status Get(const rpc::Caller& caller, const log::v1::GetVariableValueRequest& request,
                   log::v1::VariableValue& out);
  absl::Status List(const rpc::Caller& caller, const log::v1::ListReadingsRequest& request,
                    log::v1::ListReadingsResponse& out);
  absl::Status State(const rpc::Caller& caller, const log::v1::GetUnitStateRequest& request, log::v1::UnitState& out);
  absl::Status Link(const rpc::Caller& caller, const log::v1::GetLinkStatisticsRequest& request,
                    log::v1::LinkStatistics& out);

 private:
  ValueStore& store_;
  Rights& rights_;
};

// What unit-ingest begins to serve a unit with. Thread-safe.
class Snapshots {
 public:
  Snapshots(ValueStore& store, bus::Bus& bus, std::uint32_t partitions)
      : store_(store), bus_(bus), partitions_(partitions) {}
  absl::Status Get(const rpc::Caller& caller, const log::v1::GetUnitSnapshotRequest& request,
                   log::v1::UnitSnapshot& out);

 private:
  // Waits until all that is in the stream now is in the tables.
  absl::Status CatchUp();

  ValueStore& store_;
  bus::Bus& bus_;
  const std::uint32_t partitions_;
};

}  // namespace pepeunit::state_logger
