#pragma once

#include <string>

#include "pepeunit/base/config.h"
#include "pepeunit/bus/bus.h"
#include "pepeunit/postgres/pool.h"
#include "pepeunit/rpc/server.h"
#include "pepeunit/runtime/service.h"
#include "syncs.h"

namespace pepeunit::repo_sync {

struct Settings {
  runtime::RuntimeSettings runtime;
  rpc::ServerOptions server;
  rpc::ServerOptions tree_server;  // for reading whole trees, which takes as long as the receiver does
  postgres::PoolOptions pool;
  bus::BusOptions bus;
  std::string crypto_target, graph_target;
  int stream_replicas = 1;
  SyncSettings syncs;

  static Settings From(Config& config);
};

}  // namespace pepeunit::repo_sync
