#pragma once

#include "accounts.h"
#include "oidc.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/graph/v1/invitations.pb.h"

namespace pepeunit::graph_registry {

// What everybody may know of this instance. Thread-safe.
class Instance {
 public:
  Instance(const Accounts& accounts, const Oidc& oidc) : accounts_(accounts), oidc_(oidc) {}

  absl::Status Get(graph::v1::Instance& out) const {
    out.set_registration(accounts_.registration());
    graph::v1::ListOidcProvidersResponse providers;
    PEPEUNIT_RETURN_IF_ERROR(oidc_.List(providers));
    *out.mutable_oidc_providers() = providers.providers();
    return absl::OkStatus();
  }

 private:
  const Accounts& accounts_;
  const Oidc& oidc_;
};

}  // namespace pepeunit::graph_registry
