#pragma once

#include <cstddef>
#include <set>
#include <string>

#include "api.h"
#include "pepeunit/base/config.h"
#include "pepeunit/http/server.h"
#include "pepeunit/runtime/service.h"

namespace pepeunit::gateway {

struct Settings {
  runtime::RuntimeSettings runtime;
  http::ServerOptions server;
  ApiOptions api;
  std::size_t max_in_flight = 0, max_streams = 0;
  std::set<std::string> cors_origins;
  std::string instance_key;
  std::string crypto_target, graph_target, repo_target, archive_target, log_target;

  static Settings From(Config& config);
};

}  // namespace pepeunit::gateway
