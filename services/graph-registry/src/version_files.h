#pragma once

#include "absl/status/statusor.h"
#include "pepeunit/repo/v1/repositories.pb.h"
#include "pepeunit/schema/schema.h"

namespace pepeunit::graph_registry {

// The two files of a version, read. FAILED_PRECONDITION (INVALID_REPOSITORY) with the first problems as violations
// (`schema.json:12 output_variables.temperature.type`) when a unit cannot be made from them (R3).
struct VersionFiles {
  schema::Schema schema;
  nlohmann::ordered_json env;
};
absl::StatusOr<VersionFiles> ReadVersionFiles(const repo::v1::ResolveVersionResponse& version);

}  // namespace pepeunit::graph_registry
