#pragma once

#include <string>

#include "absl/status/status.h"
#include "pepeunit/graph/v1/units.pb.h"
#include "pepeunit/repo/v1/repositories.pb.h"

namespace pepeunit::graph_registry {

// Something else is in the way for a moment, not the version: it is tried again.
bool Passes(const absl::Status& status);

// Why a unit could not be moved, for people: at most 512 bytes. What is wrong inside is for the log.
std::string DetailOf(const absl::Status& status);

// What a unit tells when it could not follow: the status that refused its move, to a version of the repository if one
// was found. Bounded, without its time.
graph::v1::FollowProblem FollowProblemOf(const absl::Status& status, const repo::v1::ResolveVersionResponse& tip);

}  // namespace pepeunit::graph_registry
