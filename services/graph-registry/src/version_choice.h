#pragma once

#include "fields.h"
#include "pepeunit/graph/v1/units.pb.h"

namespace pepeunit::graph_registry {

// Whether a version is chosen, by a name that may be one; whether it is there, repo-sync knows.
void CheckPin(const graph::v1::VersionChoice& pin, Fields* fields);

}  // namespace pepeunit::graph_registry
