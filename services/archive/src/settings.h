#pragma once

#include <string>

#include "pepeunit/base/config.h"
#include "pepeunit/rpc/server.h"
#include "pepeunit/runtime/service.h"
#include "unit_archives.h"

namespace pepeunit::archive {

// The configuration of this service; README.md has the table.
struct Settings {
  runtime::RuntimeSettings runtime;
  rpc::ServerOptions server;
  std::string graph_target, crypto_target, repo_target;
  ArchiveLimits limits;

  static Settings From(Config& config);
};

}  // namespace pepeunit::archive
