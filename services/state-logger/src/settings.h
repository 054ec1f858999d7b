#pragma once

#include <string>

#include "partitions.h"
#include "pepeunit/base/config.h"
#include "pepeunit/postgres/pool.h"
#include "pepeunit/rpc/server.h"
#include "pepeunit/runtime/service.h"
#include "postgres_upkeep.h"
#include "sql_readers.h"

namespace pepeunit::state_logger {

struct Settings {
  runtime::RuntimeSettings runtime;
  rpc::ServerOptions server, history_server;
  postgres::PoolOptions pool;
  bus::BusOptions bus, live_bus;
  std::string graph_target;
  PartitionSettings partitions;
  LinkLimits links;
  HistoryLimits history;
  SqlSettings sql;
  std::size_t most_samples = 0;
  int stream_replicas = 1;

  static Settings From(Config& config);
};

}  // namespace pepeunit::state_logger
