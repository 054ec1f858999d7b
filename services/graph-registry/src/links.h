#pragma once

#include <string>

#include "pepeunit/rpc/caller.h"
#include "store.h"

namespace pepeunit::graph_registry {

// Wires from outputs to inputs (G2). Thread-safe.
class Links {
 public:
  // At most `most_links` may leave the outputs of one unit (G5).
  Links(GraphStore& store, std::int64_t most_links) : store_(store), most_links_(most_links) {}

  absl::Status Create(const rpc::Caller& caller, const graph::v1::CreateLinkRequest& request, graph::v1::Link& out);
  absl::Status Get(const rpc::Caller& caller, const std::string& id, graph::v1::Link& out);
  absl::Status List(const rpc::Caller& caller, const graph::v1::ListLinksRequest& request,
                    graph::v1::ListLinksResponse& out);
  absl::Status Delete(const rpc::Caller& caller, const std::string& id);

 private:
  GraphStore& store_;
  const std::int64_t most_links_;
};

}  // namespace pepeunit::graph_registry
