#pragma once

#include <string>

#include "partitions.h"
#include "pepeunit/base/config.h"
#include "pepeunit/rpc/server.h"
#include "pepeunit/runtime/service.h"

namespace pepeunit::state_logger {

struct Settings {
  runtime::RuntimeSettings runtime;
  rpc::ServerOptions server;
  postgres::PoolOptions pool;
  bus::BusOptions bus;
  std::string graph_target;
  PartitionSettings partitions;
  LinkLimits links;
  int stream_replicas = 1;

  static Settings From(Config& config);
};

}  // namespace pepeunit::state_logger
