#include "settings.h"

#include "pepeunit/rpc/client.h"

namespace pepeunit::unit_ingest {

Settings Settings::From(Config& config) {
  const auto size = [&](const char* name, std::int64_t fallback, std::int64_t min, std::int64_t max, const char* help) {
    return static_cast<std::size_t>(config.Integer(name, fallback, min, max, help));
  };
  Settings s;
  s.runtime = runtime::RuntimeSettings::From(config, "unit-ingest", 9106);
  s.server.address = config.String("PEPEUNIT_INGEST_ADDRESS", "127.0.0.1", "IP on which devices are answered");
  s.server.port = config.Port("PEPEUNIT_INGEST_PORT", 8081, "its port");
  s.server.threads = size("PEPEUNIT_INGEST_THREADS", 2, 1, 64, "threads that open, check and seal");
  s.server.max_body_bytes =
      size("PEPEUNIT_INGEST_MAX_BODY", 16'384, 256, 1 << 20, "largest envelope in bytes; a larger one is 413");
  s.server.max_connections =
      size("PEPEUNIT_INGEST_CONNECTIONS", 20'000, 1, 1'000'000, "most connections; one more is 503");
  s.server.max_of_address = size("PEPEUNIT_INGEST_CONNECTIONS_OF_ADDRESS", 5'000, 1, 1'000'000,
                                 "most connections of one address; one more is 503. Many devices may share one");
  s.server.max_header_bytes = 4'096;
  s.edge.unit_rate = static_cast<double>(
      size("PEPEUNIT_UNIT_RATE", 20, 1, 1'000'000, "exchanges a second that one unit may make; more is 429"));
  s.edge.unit_burst = static_cast<double>(
      size("PEPEUNIT_UNIT_BURST", 40, 1, 1'000'000, "exchanges that it may make at once after a pause"));
  s.edge.update_rate =
      static_cast<double>(size("PEPEUNIT_UPDATE_RATE", 50, 1, 1'000'000,
                               "questions a second that one unit may ask while it updates; more is 429"));
  s.edge.update_burst =
      static_cast<double>(size("PEPEUNIT_UPDATE_BURST", 100, 1, 1'000'000, "as many at once after a pause"));
  s.edge.update_cache_bytes = size("PEPEUNIT_UPDATE_CACHE_BYTES", 16 << 20, 0, std::int64_t{1} << 40,
                                   "bytes of files of new versions that are kept in memory");
  s.edge.cache_units = size("PEPEUNIT_CACHE_UNITS", 100'000, 16, 100'000'000,
                            "units whose keys, schemas, links and inputs are kept in memory");
  s.edge.max_deliveries = size("PEPEUNIT_MAX_DELIVERIES", 64, 1, 4'096, "values that one report may carry along links");
  s.edge.most_waiting = size("PEPEUNIT_INGEST_MAX_WAITING", 256, 1, 4'096,
                             "reports that wait to be stored; beyond it everybody is told 429");
  s.edge.link_rate = static_cast<double>(size("PEPEUNIT_LINK_RATE", 10, 1, 1'000'000,
                                              "values a second that are pushed along one link; as in state-logger"));
  s.edge.link_burst =
      static_cast<double>(size("PEPEUNIT_LINK_BURST", 20, 1, 1'000'000, "as many at once after a pause"));
  s.bus = bus::BusOptionsFrom(config, "unit-ingest");
  s.bus.prompt = true;
  s.instance_key = rpc::InstanceKeyFrom(config);
  s.crypto_target = rpc::TargetFrom(config, "PEPEUNIT_CRYPTO_TARGET", 7001, "crypto");
  s.graph_target = rpc::TargetFrom(config, "PEPEUNIT_GRAPH_TARGET", 7002, "graph-registry");
  s.log_target = rpc::TargetFrom(config, "PEPEUNIT_LOG_TARGET", 7005, "state-logger");
  s.archive_target = rpc::TargetFrom(config, "PEPEUNIT_ARCHIVE_TARGET", 7004, "archive");
  s.partitions = static_cast<std::uint32_t>(
      config.Integer("PEPEUNIT_PARTITIONS", 1, 1, 256,
                     "partitions of the stream VALUES; the same in graph-registry and state-logger"));
  return s;
}

}  // namespace pepeunit::unit_ingest
