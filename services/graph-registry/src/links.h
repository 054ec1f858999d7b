#pragma once

#include <string>

#include "pepeunit/rpc/caller.h"
#include "store.h"

namespace pepeunit::graph_registry {

// The link as the viewer sees it: of an end that he may not see nothing is told, also not by who drew the link, when or
// why it stopped.
graph::v1::Link Show(const SeenLink& seen);

// Wires from outputs to inputs (G2). Thread-safe.
class Links {
 public:
  // `secret`, of any length and the same for all replicas, makes cursors unreadable.
  Links(GraphStore& store, const LinkBounds& bounds, const std::string& secret);

  absl::Status Create(const rpc::Caller& caller, const graph::v1::CreateLinkRequest& request, graph::v1::Link& out);
  // Who may see one end only is told of that end.
  absl::Status Get(const rpc::Caller& caller, const std::string& id, graph::v1::Link& out);
  absl::Status List(const rpc::Caller& caller, const graph::v1::ListLinksRequest& request,
                    graph::v1::ListLinksResponse& out);
  // For maintainers of an end that they see, and for who drew it.
  absl::Status Delete(const rpc::Caller& caller, const std::string& id);

 private:
  absl::StatusOr<SeenLink> See(const rpc::Caller& caller, const std::string& id);
  // A page may end at a link that the caller may not see, so a cursor does not show its id: one block of AES, which is
  // as long as an id, without any mode.
  Uuid Veil(const Uuid& id) const;
  Uuid Unveil(const Uuid& id) const;

  GraphStore& store_;
  const LinkBounds bounds_;
  const std::string cursor_key_;
};

}  // namespace pepeunit::graph_registry
