#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "load.h"

namespace pepeunit::bench {

struct LatencyOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;
  double per_s = 1'000;  // posts of all sources together
  double seconds = 10;
};

struct LatencyReport {
  std::uint64_t posted = 0, refused = 0, arrived = 0, connections = 0;
  double seconds = 0;
  std::vector<float> latencies_ms;  // from before the post is sealed until the push is opened

  std::string ToJson();  // sorts the latencies
};

// Devices come in pairs: the output `value` of the first is linked to an input of the second. Each has a WebSocket; the
// first of each pair posts at its own moments, whatever the others do, and the second waits for what is pushed.
LatencyReport RunLatency(const LatencyOptions& options, std::vector<Device>& devices);

}  // namespace pepeunit::bench
