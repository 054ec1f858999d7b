#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "ports.h"
#include "store.h"

namespace pepeunit::graph_registry {

// Names of keys that a move adds to a unit's env.json and takes from it.
struct EnvChange {
  std::vector<std::string> added, removed;
  bool empty() const { return added.empty() && removed.empty(); }
};

// Makes and changes what env.json holds, and seals it for its unit alone (U4, U5). It is opened only where a value in
// it has to stay while others change. Thread-safe; waits for crypto, whose UNAVAILABLE it passes on.
class UnitEnvs {
 public:
  // `device_url` is what env.json calls PEPEUNIT_URL.
  UnitEnvs(SecretBox& secrets, std::string device_url) : secrets_(secrets), device_url_(std::move(device_url)) {}

  // For a new unit: the sample's keys, those that Pepeunit fills overwritten with new keys and a token.
  absl::StatusOr<SealedEnv> Make(const Uuid& unit, nlohmann::ordered_json sample);
  // The same file with new keys and a token of the next generation.
  absl::StatusOr<SealedEnv> Reset(const Uuid& unit, const UnitSecrets& now);

  // What a move to a version with this sample does. Opens env.json only of a unit whose keys are not on record.
  absl::StatusOr<EnvChange> Compare(const Uuid& unit, const UnitSecrets& now, const nlohmann::ordered_json& sample);
  // Does it: new keys with the sample's values, the values of all others as they are. RESOURCE_EXHAUSTED (LIMIT) when
  // the file becomes too large. Returns the sealed env.json.
  absl::StatusOr<std::string> Apply(const Uuid& unit, const UnitSecrets& now, const EnvChange& change,
                                    const nlohmann::ordered_json& sample);

 private:
  absl::StatusOr<nlohmann::ordered_json> Open(const Uuid& unit, const UnitSecrets& now);
  absl::StatusOr<std::string> SealEnv(const Uuid& unit, const nlohmann::ordered_json& env);
  absl::StatusOr<SealedEnv> Fill(const Uuid& unit, std::uint32_t generation, nlohmann::ordered_json env);

  SecretBox& secrets_;
  const std::string device_url_;
};

// Without those that Pepeunit fills, in order.
std::vector<std::string> SampleKeys(const nlohmann::ordered_json& env);

}  // namespace pepeunit::graph_registry
