#pragma once

#include "accounts.h"
#include "people.h"
#include "removal_store.h"

namespace pepeunit::graph_registry {

// Users who go (A5). Thread-safe.
class Departures {
 public:
  Departures(RemovalStore& removals, AccountStore& people, Accounts& accounts, People& users)
      : removals_(removals), people_(people), accounts_(accounts), users_(users) {}

  absl::Status DeleteCurrent(const rpc::Caller& caller, const graph::v1::DeleteCurrentUserRequest& request,
                             graph::v1::UserDeletion& out);
  absl::Status Delete(const rpc::Caller& caller, const graph::v1::DeleteUserRequest& request,
                      graph::v1::UserDeletion& out);

 private:
  // What is asked for, once it makes sense; `request` is one of the two.
  template <typename Request>
  absl::StatusOr<Removal> Read(const rpc::Caller& caller, const Uuid& user, const Request& request);

  RemovalStore& removals_;
  AccountStore& people_;
  Accounts& accounts_;
  People& users_;
};

}  // namespace pepeunit::graph_registry
