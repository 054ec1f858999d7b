#pragma once

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "pepeunit/rpc/caller.h"
#include "store.h"

// The one place where graph-registry asks libs/access.
namespace pepeunit::graph_registry {

// Who may call a service of the API at all: people do, signed in or not; other services ask GraphInternalService.
absl::Status AdmitPeople(const rpc::Caller& caller);
absl::Status AdmitAll(const rpc::Caller& caller);

access::Subject SubjectOf(const rpc::Caller& caller);

// OK; NOT_FOUND ("There is no such <what>.") when the subject may not know of the node; PERMISSION_DENIED otherwise.
absl::Status Check(const access::Subject& subject, const NodeFacts& facts, access::Role needed,
                   const std::string& what);
// The same for the caller. One without registration who may see the node is UNAUTHENTICATED: signing in may help.
absl::Status Check(const rpc::Caller& caller, const NodeFacts& facts, access::Role needed, const std::string& what);

// UNAUTHENTICATED unless a user is signed in.
absl::Status RequireUser(const rpc::Caller& caller);
// PERMISSION_DENIED unless another service calls on its own behalf.
absl::Status RequireService(const rpc::Caller& caller);

// The version in `etag`, which was just read: what is written must still find it. FAILED_PRECONDITION
// (VERSION_MISMATCH) if the caller's If-Match names another one. An etag is a version, or a version and a '-' with
// more.
absl::StatusOr<std::int64_t> ExpectedVersion(const rpc::Caller& caller, const std::string& etag);
absl::Status VersionMismatch();

// Runs `update`, which reads a node, changes it, and writes it if nobody else did meanwhile. Somebody who sent no
// If-Match does not mind what others changed: his change is made again on what they left.
absl::Status ReadAndUpdate(const rpc::Caller& caller, const std::function<absl::Status()>& update);

// Whether a link's creator may still join its ends, and the ends still agree (G2).
absl::Status CheckLink(const access::Subject& creator, graph::v1::LinkType type, const VariableRow& output,
                       const VariableRow& input);

}  // namespace pepeunit::graph_registry
