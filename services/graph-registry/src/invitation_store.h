#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/graph/v1/invitations.pb.h"
#include "store.h"

// Where invitations are kept, by their SHA-256. Each call is one transaction, with the audit of who made it.
// Thread-safe. Errors as those of GraphStore.
namespace pepeunit::graph_registry {

// The one answer to an invitation that does not live, whatever became of it.
inline absl::Status BadInvitation() {
  return Error(absl::StatusCode::kPermissionDenied, "BAD_INVITATION",
               "This instance takes new users by invitation, and this one is missing, unknown, used, expired or "
               "revoked; ask its administrator.");
}

class InvitationStore {
 public:
  virtual ~InvitationStore() = default;

  // By the actor. RESOURCE_EXHAUSTED when `most` others wait to be used.
  virtual absl::Status CreateInvitation(const Actor& actor, const graph::v1::Invitation& invitation,
                                        const std::string& hash, std::int64_t most) = 0;
  virtual absl::StatusOr<std::vector<graph::v1::Invitation>> ListInvitations(const Page& page) = 0;
  // FAILED_PRECONDITION (IN_USE) when somebody signed up with it.
  virtual absl::Status DeleteInvitation(const Actor& actor, const Uuid& id) = 0;
  // Forgets those that ended 90 days ago, at most some thousands; returns how many.
  virtual absl::StatusOr<std::int64_t> ForgetInvitations() = 0;
};

}  // namespace pepeunit::graph_registry
