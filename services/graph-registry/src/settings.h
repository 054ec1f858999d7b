#pragma once

#include <string>
#include <vector>

#include "accounts.h"
#include "change_feed.h"
#include "openid_provider.h"
#include "pepeunit/base/config.h"
#include "pepeunit/bus/bus.h"
#include "pepeunit/postgres/pool.h"
#include "pepeunit/rpc/server.h"
#include "pepeunit/runtime/service.h"
#include "unit_update.h"

namespace pepeunit::graph_registry {

struct Settings {
  runtime::RuntimeSettings runtime;
  rpc::ServerOptions server;
  rpc::ServerOptions web_server;       // for calls that wait for programs on the web
  rpc::ServerOptions download_server;  // for exports, which take as long as the receiver does
  rpc::ServerOptions password_server;  // for calls that wait for a password to be hashed
  OidcSettings oidc;
  postgres::PoolOptions pool;
  bus::BusOptions bus;
  std::string crypto_target, repo_target, log_target, device_url;
  std::uint32_t partitions = 1;
  std::int64_t values_max_bytes = 0;
  int stream_replicas = 1;
  AccountSettings accounts;
  std::string admin_login, admin_password;
  std::vector<graph::v1::StandardRepository> standard;

  LinkBounds link_bounds;
  Quotas quotas;
  UpdateTimeouts update_timeouts;
  int audit_days = 365;
  FeedLimits feed;
  int feed_hours = 24;
  // What is wrong with values that were read well; the service does not start with it.
  absl::Status problem;

  static Settings From(Config& config);
};

}  // namespace pepeunit::graph_registry
