#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "load.h"

namespace pepeunit::bench {

struct OtaOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;        // of unit-ingest
  unsigned connections = 8;      // each with a thread; a device uses one connection for all it does
  std::size_t chunk = 4096;      // bytes of a file that are asked for at once
  std::string have;              // the commit that the devices run
  std::uint16_t plain_port = 0;  // of a server of files that has the new version's files; 0: none
};

struct OtaReport {
  std::uint64_t updated = 0;  // devices that fetched everything with the right hash, and told the new commit
  std::uint64_t failed = 0;
  std::string problem;              // the first failure
  std::uint64_t content_bytes = 0;  // of files
  std::uint64_t answer_bytes = 0;   // bodies of the answers with manifests and pieces
  std::uint64_t requests = 0;       // for manifests and pieces
  double offer_s = 0, fetch_s = 0, confirm_s = 0;
  double plain_s = 0;  // the same pieces by GET with Range from the server of files
  std::string ToJson() const;
};

// Every device says what it runs, is offered another version, fetches it as PROTOCOL.md tells, and says that it runs
// it. The three are timed one after the other.
OtaReport RunOta(const OtaOptions& options, std::vector<Device>& devices);

}  // namespace pepeunit::bench
