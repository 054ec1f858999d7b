#pragma once

#include <string>

#include "pepeunit/base/config.h"
#include "pepeunit/rpc/server.h"
#include "pepeunit/runtime/service.h"
#include "releases.h"
#include "unit_archives.h"

namespace pepeunit::archive {

// The configuration of this service; README.md has the table.
struct Settings {
  runtime::RuntimeSettings runtime;
  rpc::ServerOptions server;
  std::string graph_target, crypto_target, repo_target;
  ReleasesLimits releases;
  rpc::ServerOptions update_server;  // for what devices wait for, which takes no time once a version is read

  static Settings From(Config& config);
};

}  // namespace pepeunit::archive
