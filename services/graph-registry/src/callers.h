#pragma once

#include <optional>
#include <vector>

#include "account_store.h"
#include "pepeunit/rpc/caller.h"

namespace pepeunit::graph_registry {

// Whether a caller still is whom the gateway took him for. The gateway verifies access tokens by their signature and
// keeps opened personal tokens for seconds, so what has ended since is found here, with each call, and ends at once.
// Thread-safe.
class Callers {
 public:
  explicit Callers(AccountStore& store) : store_(store) {}

  // The caller, with the power that his account has now. UNAUTHENTICATED when the session or personal token of a user
  // is no more.
  absl::StatusOr<rpc::Caller> Admit(rpc::Caller caller) const;

  // The same for many who were admitted before, with one look. Nothing for those whose session or token has ended.
  absl::StatusOr<std::vector<std::optional<rpc::Caller>>> AdmitAgain(const std::vector<rpc::Caller>& callers) const;

 private:
  AccountStore& store_;
};

}  // namespace pepeunit::graph_registry
