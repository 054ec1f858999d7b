#pragma once

#include <string>

#include "invitation_store.h"
#include "pepeunit/rpc/caller.h"

namespace pepeunit::graph_registry {

// Invitations to sign up: made, listed and revoked by administrators (A5). Thread-safe.
class Invitations {
 public:
  explicit Invitations(InvitationStore& store) : store_(store) {}

  absl::Status Create(const rpc::Caller& caller, const graph::v1::CreateInvitationRequest& request,
                      graph::v1::IssuedInvitation& out);
  absl::Status List(const rpc::Caller& caller, const graph::v1::ListInvitationsRequest& request,
                    graph::v1::ListInvitationsResponse& out);
  absl::Status Delete(const rpc::Caller& caller, const std::string& id);

 private:
  InvitationStore& store_;
};

}  // namespace pepeunit::graph_registry
