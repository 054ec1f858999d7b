#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "pepeunit/common/v1/types.pb.h"
#include "pepeunit/repo/v1/repositories.pb.h"
#include "pepeunit/schema/schema.h"

namespace pepeunit::graph_registry {

// The two files of a version that a unit may be made from, or moved to. FAILED_PRECONDITION (UNSIGNED_VERSION) when the
// repository asks for a signature that it does not have; (INVALID_REPOSITORY) with the first problems as violations
// (`schema.json:12 output_variables.temperature.type`) when a unit cannot be made from the files (R3).
struct VersionFiles {
  schema::Schema schema;
  nlohmann::ordered_json env;
};
absl::StatusOr<VersionFiles> ReadVersionFiles(const repo::v1::ResolveVersionResponse& version);

// What is wrong with them, the first problems, each shortened; empty when a unit can be made.
std::vector<common::v1::FileProblem> FirstProblems(const repo::v1::ResolveVersionResponse& version);

// At most so many bytes and "...", cut before a character, not in it.
std::string Shorten(const std::string& text, std::size_t most);

}  // namespace pepeunit::graph_registry
