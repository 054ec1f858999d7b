#include "settings.h"

#include "pepeunit/rpc/client.h"

namespace pepeunit::state_logger {

Settings Settings::From(Config& config) {
  Settings s;
  s.runtime = runtime::RuntimeSettings::From(config, "state-logger", 9105);
  s.server = rpc::ServerOptionsFrom(config, 7005);
  s.pool = postgres::PoolOptionsFrom(config, "log");
  s.bus = bus::BusOptionsFrom(config, "state-logger");
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
  s.stream_replicas =
      static_cast<int>(config.Integer("PEPEUNIT_STREAM_REPLICAS", 1, 1, 5, "replicas of the JetStream streams"));
  return s;
}

}  // namespace pepeunit::state_logger
