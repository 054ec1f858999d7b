#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "store.h"

// What belongs to one user, for his export. Thread-safe. Errors as those of GraphStore.
namespace pepeunit::graph_registry {

class ExportStore {
 public:
  virtual ~ExportStore() = default;

  // Of a type without parents, by id.
  virtual absl::StatusOr<std::vector<Uuid>> ListOwn(const Uuid& user, graph::v1::NodeType type, const Page& page) = 0;
  // That he drew, or that touch a node of his; he may see one end of them, both, or none any more.
  virtual absl::StatusOr<std::vector<SeenLink>> ListOwnLinks(const access::Subject& user, const Page& page) = 0;
  // On his nodes, and to him: at most `limit` that follow `after`, in the order of node, kind and subject.
  virtual absl::StatusOr<std::vector<graph::v1::Grant>> ListOwnGrants(const Uuid& user, const graph::v1::Grant& after,
                                                                      int limit) = 0;
};

}  // namespace pepeunit::graph_registry
