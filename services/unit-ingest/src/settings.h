#pragma once

#include <string>

#include "edge.h"
#include "pepeunit/base/config.h"
#include "pepeunit/bus/bus.h"
#include "pepeunit/http/server.h"
#include "pepeunit/runtime/service.h"

namespace pepeunit::unit_ingest {

struct Settings {
  runtime::RuntimeSettings runtime;
  http::ServerOptions server;
  bus::BusOptions bus;
  EdgeSettings edge;
  std::string instance_key, crypto_target, graph_target, log_target, archive_target;
  std::uint32_t partitions = 1;

  static Settings From(Config& config);
};

}  // namespace pepeunit::unit_ingest
