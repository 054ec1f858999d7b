#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "pepeunit/base/uuid.h"
#include "pepeunit/envelope/envelope.h"
#include "report.h"

namespace pepeunit::bench {

// A simulated device: what its env.json gave it, and the sequence it stands at.
struct Device {
  Uuid id;
  envelope::Keys keys;
  std::string token;
  std::vector<std::string> outputs;  // names of the numeric outputs that it reports
  std::uint64_t next = 0;            // 0: it has to ask first
  std::uint64_t accepted = 0;        // of its posts
};

struct LoadOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;
  std::string target = "/v1/exchange";
  unsigned connections = 64;
  unsigned threads = 1;
  double seconds = 10;
  bool echo = false;  // the other side is the bare echo: any 200 will do
};

// Reads the file that tools/bench writes: [{"id": uuid, "key": base64, "token": ..., "outputs": [names]}].
std::vector<Device> ReadDevices(const std::string& path);

// Posts sealed reports for all devices over keep-alive connections for `seconds`. Each device sends one exchange at a
// time, as a real one does; a connection carries several devices in turn. Sealing is part of the generator's work in
// both modes, so that the ratio of the two compares servers only.
Report RunLoad(const LoadOptions& options, std::vector<Device>& devices);

}  // namespace pepeunit::bench
