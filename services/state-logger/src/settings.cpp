#include "settings.h"

#include "pepeunit/rpc/client.h"

namespace pepeunit::state_logger {

Settings Settings::From(Config& config) {
  Settings s;
  s.runtime = runtime::RuntimeSettings::From(config, "state-logger", 9105);
  s.server = rpc::ServerOptionsFrom(config, 7005);
  s.history_server = s.server;
  s.history_server.longest_call =
      config.Duration("PEPEUNIT_HISTORY_TIMEOUT", std::chrono::minutes(5), "how long an answer of histories may take");
  s.pool = postgres::PoolOptionsFrom(config, "log");
  s.bus = bus::BusOptionsFrom(config, "state-logger");
  s.live_bus = s.bus;
  s.live_bus.shared_threads = true;
  s.graph_target = rpc::TargetFrom(config, "PEPEUNIT_GRAPH_TARGET", 7002, "graph-registry");
  s.partitions.count = static_cast<std::uint32_t>(config.Integer(
      "PEPEUNIT_PARTITIONS", 1, 1, 256, "partitions of the stream VALUES; the same in graph-registry and unit-ingest"));
  s.partitions.values_max_bytes =
      config.Integer("PEPEUNIT_VALUES_MAX_BYTES", 1LL << 30, 1 << 20, 1LL << 50,
                     "bound of the stream VALUES; what is stored leaves it when it is half full");
  s.links.per_second = static_cast<double>(config.Integer(
      "PEPEUNIT_LINK_RATE", 10, 1, 100'000, "values a second that one link carries; of more the newest waits"));
  s.links.burst = static_cast<double>(
      config.Integer("PEPEUNIT_LINK_BURST", 20, 1, 100'000, "values that it carries at once after a pause"));
  s.history.most_days =
      config.Integer("PEPEUNIT_HISTORY_MAX_DAYS", 3'650, 1, 50'000, "readings are kept at most so long");
  s.history.most_readings =
      config.Integer("PEPEUNIT_OWNER_MAX_READINGS", 1'000'000'000, 1'000, 1LL << 50,
                     "readings that are kept of one owner's variables; of more the oldest days go");
  s.most_samples = static_cast<std::size_t>(
      config.Integer("PEPEUNIT_PROMETHEUS_MAX_SAMPLES", 2'000'000, 1'000, 1'000'000'000,
                     "samples that a query of Prometheus' API reads, and values that it makes, at most"));
  s.sql.address = config.String("PEPEUNIT_SQL_ADDRESS", "", "host:port of PostgreSQL, as readers of SQL are told it");
  s.sql.most_readers =
      config.Integer("PEPEUNIT_SQL_READERS", 100, 0, 10'000, "roles that read histories over SQL, at most");
  s.stream_replicas =
      static_cast<int>(config.Integer("PEPEUNIT_STREAM_REPLICAS", 1, 1, 5, "replicas of the JetStream streams"));
  return s;
}

}  // namespace pepeunit::state_logger
