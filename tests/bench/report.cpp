#include "report.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace pepeunit::bench {

double Percentile(const std::vector<float>& sorted, double p) {
  if (sorted.empty()) return 0;
  return static_cast<double>(sorted[static_cast<std::size_t>(p * static_cast<double>(sorted.size() - 1))]);
}

void Report::Merge(const Report& other) {
  accepted += other.accepted;
  readings += other.readings;
  for (const auto& [status, count] : other.refused) refused[status] += count;
  latencies_ms.insert(latencies_ms.end(), other.latencies_ms.begin(), other.latencies_ms.end());
  last_accepted_ms = std::max(last_accepted_ms, other.last_accepted_ms);
}

std::string Report::ToJson() {
  std::sort(latencies_ms.begin(), latencies_ms.end());
  nlohmann::ordered_json json = {{"accepted", accepted},
                                 {"readings", readings},
                                 {"seconds", seconds},
                                 {"cpu_s", cpu_s},
                                 {"per_s", seconds > 0 ? static_cast<double>(accepted) / seconds : 0.0},
                                 {"p50_ms", Percentile(latencies_ms, 0.50)},
                                 {"p95_ms", Percentile(latencies_ms, 0.95)},
                                 {"p99_ms", Percentile(latencies_ms, 0.99)},
                                 {"last_accepted_ms", last_accepted_ms},
                                 {"least_of_a_device", least_of_a_device},
                                 {"most_of_a_device", most_of_a_device},
                                 {"refused", nlohmann::ordered_json::object()}};
  for (const auto& [status, count] : refused) json["refused"][std::to_string(status)] = count;
  return json.dump();
}

}  // namespace pepeunit::bench
