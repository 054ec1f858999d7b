#include "settings.h"

#include <sstream>

#include "pepeunit/rpc/client.h"

namespace pepeunit::gateway {

Settings Settings::From(Config& config) {
  using std::chrono::seconds;
  Settings s;
  s.runtime = runtime::RuntimeSettings::From(config, "gateway", 9107);
  s.server.address = config.String("PEPEUNIT_HTTP_ADDRESS", "127.0.0.1", "IP for people and programs");
  s.server.port = config.Port("PEPEUNIT_HTTP_PORT", 8080, "its port");
  s.server.threads = static_cast<std::size_t>(config.Integer("PEPEUNIT_HTTP_THREADS", 2, 1, 64, "threads for HTTP"));
  s.server.max_connections = static_cast<std::size_t>(
      config.Integer("PEPEUNIT_HTTP_MAX_CONNECTIONS", 10'000, 1, 1'000'000, "connections; one more gets 503"));
  s.server.max_of_address = static_cast<std::size_t>(
      config.Integer("PEPEUNIT_HTTP_MAX_OF_ADDRESS", 1'000, 1, 1'000'000,
                     "connections of one address; one more gets 503. Not behind a trusted proxy, whose they all are"));
  s.server.max_body_bytes = static_cast<std::size_t>(
      config.Integer("PEPEUNIT_HTTP_MAX_BODY", 1 << 20, 1024, 64 << 20, "bytes of a request's body; more gets 413"));
  s.max_in_flight = static_cast<std::size_t>(
      config.Integer("PEPEUNIT_HTTP_MAX_IN_FLIGHT", 512, 1, 100'000, "requests being answered; one more gets 503"));
  s.max_streams = static_cast<std::size_t>(
      config.Integer("PEPEUNIT_HTTP_MAX_STREAMS", 1000, 1, 100'000, "streams of events; one more gets 503"));
  s.api.call_timeout = config.Duration("PEPEUNIT_HTTP_CALL_TIMEOUT", seconds(30), "how long a service may take");
  s.api.file_timeout = config.Duration("PEPEUNIT_HTTP_FILE_TIMEOUT", seconds(300), "how long a download may take");
  s.api.trusted_proxy = config.Boolean("PEPEUNIT_TRUSTED_PROXY", false,
                                       "a proxy of ours stands in front, so X-Forwarded-For names the client");
  if (s.api.trusted_proxy) s.server.max_of_address = 0;
  s.api.changes_per_second =
      static_cast<double>(config.Integer("PEPEUNIT_HTTP_CHANGES_PER_SECOND", 5, 1, 1'000'000,
                                         "changes a second of one user who is no administrator; more is 429"));
  s.api.changes_burst = static_cast<double>(config.Integer("PEPEUNIT_HTTP_CHANGES_BURST", 1'000, 1, 1'000'000,
                                                           "changes that he may make at once after a pause"));
  std::istringstream origins(
      config.String("PEPEUNIT_CORS_ORIGINS", "",
                    "origins of other sites whose pages may call the API, separated by spaces; none: off"));
  for (std::string origin; origins >> origin;) s.cors_origins.insert(origin);
  // The service answers with a problem by then; the server's own bound is only for what went wrong here.
  s.server.handler_timeout = s.api.call_timeout + seconds(10);
  s.instance_key = rpc::InstanceKeyFrom(config);
  s.crypto_target = rpc::TargetFrom(config, "PEPEUNIT_CRYPTO_TARGET", 7001, "crypto");
  s.graph_target = rpc::TargetFrom(config, "PEPEUNIT_GRAPH_TARGET", 7002, "graph-registry");
  s.repo_target = rpc::TargetFrom(config, "PEPEUNIT_REPO_TARGET", 7003, "repo-sync");
  s.archive_target = rpc::TargetFrom(config, "PEPEUNIT_ARCHIVE_TARGET", 7004, "archive");
  s.log_target = rpc::TargetFrom(config, "PEPEUNIT_LOG_TARGET", 7005, "state-logger");
  return s;
}

}  // namespace pepeunit::gateway
