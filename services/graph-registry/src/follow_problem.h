#pragma once

#include "absl/status/status.h"
#include "pepeunit/graph/v1/units.pb.h"
#include "pepeunit/repo/v1/repositories.pb.h"

namespace pepeunit::graph_registry {

// What a unit tells when it could not follow: the status that refused its move, to a version of the repository if one
// was found. Bounded, without its time.
graph::v1::FollowProblem FollowProblemOf(const absl::Status& status, const repo::v1::ResolveVersionResponse& tip);

}  // namespace pepeunit::graph_registry
