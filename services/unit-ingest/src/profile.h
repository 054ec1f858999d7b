#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "pepeunit/base/uuid.h"
#include "pepeunit/bus/v1/values.pb.h"
#include "pepeunit/envelope/envelope.h"
#include "pepeunit/schema/schema.h"

namespace pepeunit::unit_ingest {

// Where a value of an output goes besides the history.
struct Target {
  Uuid link, input, unit;
  schema::Variable definition;  // of the input
  bool of_others = false;       // somebody else than the unit's owner drew the link
};

struct Output {
  Uuid id;
  schema::Variable definition;
  std::vector<Target> targets;
};

struct Input {
  Uuid id;
  std::string name;
  nlohmann::json default_value;
};

// What serving a unit needs of the graph. Immutable once made, so that an exchange keeps the one it began with.
struct Profile {
  Uuid unit;
  std::uint64_t version = 0;
  std::uint32_t token_generation = 0;
  envelope::Keys keys;
  std::string repo_unit_id;
  std::string target_commit;
  std::uint32_t update_attempt = 0;                 // of updating to it that the device is offered; 0: none
  std::unordered_map<std::string, Output> outputs;  // by name
  std::vector<Input> inputs;                        // in the order of schema.json
};

struct InputValue {
  nlohmann::json value;
  std::uint64_t stream_sequence = 0;
};

// Where a unit stands in the stream.
struct Standing {
  std::uint64_t sequence = 0;                // the highest accepted
  std::string request_tag;                   // 16 bytes, of that one
  std::uint64_t report_stream_sequence = 0;  // the last report's position, for the compare-and-set
};

}  // namespace pepeunit::unit_ingest
