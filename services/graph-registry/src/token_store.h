#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "pepeunit/graph/v1/internal.pb.h"
#include "pepeunit/graph/v1/tokens.pb.h"
#include "store.h"

// Where personal access tokens are kept, by their SHA-256. Each call is one transaction, with the audit of who made it.
// Thread-safe. Errors as those of GraphStore.
namespace pepeunit::graph_registry {

class TokenStore {
 public:
  virtual ~TokenStore() = default;

  // For the actor. Deletes those of his that are expired; RESOURCE_EXHAUSTED when he has `most` others.
  virtual absl::Status CreateToken(const Actor& actor, const graph::v1::PersonalToken& token, const std::string& hash,
                                   std::int64_t most) = 0;
  virtual absl::StatusOr<std::vector<graph::v1::PersonalToken>> ListTokens(const Uuid& user, const Page& page) = 0;
  // Of the actor's own.
  virtual absl::Status DeleteToken(const Actor& actor, const Uuid& id) = 0;
  // The living token with this hash; notes that it is used, at most once a minute.
  virtual absl::StatusOr<graph::v1::OpenedPersonalToken> OpenToken(const std::string& hash) = 0;
};

}  // namespace pepeunit::graph_registry
