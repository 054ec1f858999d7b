#include "pepeunit/bus/bus.h"

namespace pepeunit::bus {

BusOptions BusOptionsFrom(Config& config, const std::string& client_name) {
  BusOptions options;
  options.url = config.String("PEPEUNIT_NATS_URL", "nats://127.0.0.1:4222", "NATS servers, separated by commas");
  options.token = config.Secret("PEPEUNIT_NATS_TOKEN", "token of the NATS servers", /*optional=*/true);
  options.name = client_name;
  return options;
}

StreamOptions ValuesStream(std::int64_t max_bytes, int replicas) {
  StreamOptions options;
  options.name = kValuesStream;
  options.subjects = {"values.>"};
  options.max_bytes = max_bytes;
  options.replicas = replicas;
  return options;
}

StreamOptions EventsStream(int replicas) {
  StreamOptions options;
  options.name = kEventsStream;
  options.subjects = {"events.>"};
  options.max_bytes = 256 << 20;
  options.max_age = std::chrono::hours(24 * 7);
  options.replicas = replicas;
  return options;
}

std::string ReportSubject(std::uint32_t partition, std::string_view unit_uuid) {
  return "values." + std::to_string(partition) + ".report." + std::string(unit_uuid);
}

std::string InputSubject(std::uint32_t partition, std::string_view unit_uuid) {
  return "values." + std::to_string(partition) + ".input." + std::string(unit_uuid);
}

}  // namespace pepeunit::bus
