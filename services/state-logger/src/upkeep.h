#pragma once

#include <memory>

#include "pepeunit/graph/v1/internal.grpc.pb.h"
#include "pepeunit/rpc/client.h"
#include "pepeunit/runtime/turn_thread.h"
#include "postgres_upkeep.h"

namespace pepeunit::state_logger {

// Once an hour: asks the graph how long each history is to be kept and whose it is, and lets go what is to go.
class Upkeep {
 public:
  Upkeep(PostgresUpkeep& tables, const rpc::Channel& graph)
      : tables_(tables), graph_(graph), stub_(graph::v1::GraphInternalService::NewStub(graph.grpc())) {}
  void Start() { thread_.Start(); }
  void Stop() { thread_.Stop(); }

 private:
  absl::StatusOr<std::chrono::milliseconds> Turn();
  absl::Status Learn();

  PostgresUpkeep& tables_;
  const rpc::Channel& graph_;
  const std::unique_ptr<graph::v1::GraphInternalService::Stub> stub_;
  std::int64_t learn_at_ms_ = 0;
  runtime::TurnThread thread_{"old history", [this] { return Turn(); }};
};

}  // namespace pepeunit::state_logger
