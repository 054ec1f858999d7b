#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "pepeunit/rpc/caller.h"
#include "store.h"

// The one place where graph-registry asks libs/access.
namespace pepeunit::graph_registry {

access::Subject SubjectOf(const rpc::Caller& caller);
Viewer ViewerOf(const rpc::Caller& caller);

// OK; NOT_FOUND ("There is no such <what>.") when the caller may not know of the node; PERMISSION_DENIED otherwise.
absl::Status Check(const rpc::Caller& caller, const NodeFacts& facts, access::Role needed, const std::string& what);

// UNAUTHENTICATED unless a user is signed in.
absl::Status RequireUser(const rpc::Caller& caller);
// PERMISSION_DENIED unless another service calls on its own behalf.
absl::Status RequireService(const rpc::Caller& caller);

// The version that If-Match names, 0 without one; FAILED_PRECONDITION (VERSION_MISMATCH) if it is none.
absl::StatusOr<std::int64_t> ExpectedVersion(const rpc::Caller& caller);

// Whether a link's creator may still join its ends, and the ends still agree (G2).
absl::Status CheckLink(const access::Subject& creator, graph::v1::LinkType type, const VariableRow& output,
                       const VariableRow& input);

}  // namespace pepeunit::graph_registry
