#pragma once

#include "absl/status/statusor.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/graph/v1/users.pb.h"
#include "store.h"

// Where users go from. Thread-safe. Errors as those of GraphStore.
namespace pepeunit::graph_registry {

struct Removal {
  Uuid user;
  graph::v1::NodesChoice nodes = graph::v1::NODES_CHOICE_UNSPECIFIED;
  Uuid transfer_to{};    // with TRANSFER
  bool preview = false;  // changes nothing
};

class RemovalStore {
 public:
  virtual ~RemovalStore() = default;

  // Deletes a user with all that is his, in one transaction with its events and audit, and says what went. NOT_FOUND;
  // FAILED_PRECONDITION: LAST_ADMINISTRATOR, or IN_USE (not for a preview) when units of others hang on repositories
  // that would go; INVALID_ARGUMENT when nobody who may sign in is `transfer_to`.
  virtual absl::StatusOr<graph::v1::UserDeletion> RemoveUser(const Actor& actor, const Removal& removal) = 0;
};

inline absl::Status NoSuchHeir() {
  return InvalidField("transfer_to", "names no user that you may see and who may sign in");
}

}  // namespace pepeunit::graph_registry
