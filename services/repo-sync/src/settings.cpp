#include "settings.h"

#include "pepeunit/rpc/client.h"

namespace pepeunit::repo_sync {

Settings Settings::From(Config& config) {
  Settings s;
  s.runtime = runtime::RuntimeSettings::From(config, "repo-sync", 9103);
  s.server = rpc::ServerOptionsFrom(config, 7003);
  s.tree_server = s.server;
  s.tree_server.threads = 16;
  s.pool = postgres::PoolOptionsFrom(config, "repo");
  s.bus = bus::BusOptionsFrom(config, "repo-sync");
  s.crypto_target = rpc::TargetFrom(config, "PEPEUNIT_CRYPTO_TARGET", 7001, "crypto");
  s.graph_target = rpc::TargetFrom(config, "PEPEUNIT_GRAPH_TARGET", 7002, "graph-registry");
  s.stream_replicas =
      static_cast<int>(config.Integer("PEPEUNIT_STREAM_REPLICAS", 1, 1, 5, "replicas of the JetStream streams"));
  s.syncs.folder =
      config.String("PEPEUNIT_REPOSITORIES_DIR", "./repositories", "where the local copies lie, as `<uuid>` each");
  s.syncs.max_bytes = config.Integer("PEPEUNIT_REPOSITORY_MAX_BYTES", 10 << 20, 1 << 10, 1LL << 32,
                                     "bytes of a local copy, and of what one sync may receive");
  s.syncs.worker.timeout =
      config.Duration("PEPEUNIT_SYNC_TIMEOUT", std::chrono::seconds(120), "how long one sync may take");
  s.syncs.workers =
      static_cast<int>(config.Integer("PEPEUNIT_SYNC_WORKERS", 2, 1, 32, "syncs at once, a process each"));
  s.syncs.private_remotes = config.String("PEPEUNIT_PRIVATE_REMOTES", "",
                                          "remotes that may have a loopback or private address: `host:port` (22 over "
                                          "SSH unless the address says another), separated "
                                          "by spaces; `*` lets users reach every "
                                          "host of your own network");
  return s;
}

}  // namespace pepeunit::repo_sync
