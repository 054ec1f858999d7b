#include "settings.h"

#include <limits>

#include "pepeunit/rpc/client.h"

namespace pepeunit::archive {

Settings Settings::From(Config& config) {
  Settings settings;
  settings.runtime = runtime::RuntimeSettings::From(config, "archive", 9104);
  settings.server = rpc::ServerOptionsFrom(config, 7004, 16);
  settings.server.share = 4;  // downloads of one user: a receiver who takes his time holds a thread
  settings.server.longest_call = config.Duration("PEPEUNIT_ARCHIVE_TIMEOUT", std::chrono::minutes(5),
                                                 "how long a download may take; it holds one of the threads");
  settings.graph_target = rpc::TargetFrom(config, "PEPEUNIT_GRAPH_TARGET", 7002, "graph-registry");
  settings.crypto_target = rpc::TargetFrom(config, "PEPEUNIT_CRYPTO_TARGET", 7001, "crypto");
  settings.repo_target = rpc::TargetFrom(config, "PEPEUNIT_REPO_TARGET", 7003, "repo-sync");
  settings.releases.release.bytes = config.Integer("PEPEUNIT_ARCHIVE_MAX_BYTES", settings.releases.release.bytes, 1024,
                                                   std::numeric_limits<std::int64_t>::max() / 2,
                                                   "bytes of all files of an archive together, before compression");
  settings.releases.release.files = static_cast<int>(
      config.Integer("PEPEUNIT_ARCHIVE_MAX_FILES", settings.releases.release.files, 1, 65'000, "files of an archive"));
  settings.releases.cache_bytes = static_cast<std::size_t>(config.Integer("PEPEUNIT_ARCHIVE_CACHE_BYTES", 64 << 20, 0,
                                                                          std::numeric_limits<std::int64_t>::max() / 2,
                                                                          "bytes of versions that are kept in memory"));
  settings.update_server = settings.server;
  settings.update_server.threads = 8;
  settings.update_server.longest_call = std::chrono::seconds(30);
  return settings;
}

}  // namespace pepeunit::archive
