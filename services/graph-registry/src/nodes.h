#pragma once

#include <string>
#include <vector>

#include "pepeunit/rpc/caller.h"
#include "store.h"

namespace pepeunit::graph_registry {

// What all nodes have in common: levels, roles, and the audit of what was done to them (A). Thread-safe.
class Nodes {
 public:
  explicit Nodes(GraphStore& store) : store_(store) {}

  absl::Status Get(const rpc::Caller& caller, const std::string& id, graph::v1::Node& out);
  absl::Status SetLevel(const rpc::Caller& caller, const graph::v1::SetNodeLevelRequest& request,
                        graph::v1::LevelChange& out);

  absl::Status ListGrants(const rpc::Caller& caller, const graph::v1::ListGrantsRequest& request,
                          graph::v1::ListGrantsResponse& out);
  absl::Status PutGrant(const rpc::Caller& caller, const graph::v1::PutGrantRequest& request, graph::v1::Grant& out);
  absl::Status DeleteGrant(const rpc::Caller& caller, const graph::v1::DeleteGrantRequest& request);

  absl::Status ListAudit(const rpc::Caller& caller, const graph::v1::ListAuditRecordsRequest& request,
                         graph::v1::ListAuditRecordsResponse& out);

 private:
  absl::Status SetLevelOnce(const rpc::Caller& caller, const graph::v1::SetNodeLevelRequest& request,
                            graph::v1::LevelChange& out);
  // NOT_FOUND, PERMISSION_DENIED or, for a malformed id, INVALID_ARGUMENT naming `field`.
  absl::StatusOr<NodeFacts> CheckNode(const rpc::Caller& caller, const std::string& field, const std::string& id,
                                      access::Role needed);
  absl::Status CheckSubject(const rpc::Caller& caller, const Uuid& subject, graph::v1::SubjectKind kind);

  GraphStore& store_;
};

}  // namespace pepeunit::graph_registry
