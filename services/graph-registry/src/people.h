#pragma once

#include <string>

#include "account_store.h"
#include "pepeunit/rpc/caller.h"
#include "store.h"

namespace pepeunit::graph_registry {

// Users as others see them, and as administrators govern them (A5). Thread-safe.
class People {
 public:
  People(AccountStore& accounts, GraphStore& store) : accounts_(accounts), store_(store) {}

  absl::Status Get(const rpc::Caller& caller, const std::string& id, graph::v1::User& out);
  absl::Status Block(const rpc::Caller& caller, const graph::v1::BlockUserRequest& request, graph::v1::User& out);
  absl::Status List(const rpc::Caller& caller, const graph::v1::ListUsersRequest& request,
                    graph::v1::ListUsersResponse& out);
  absl::Status SetAdministrator(const rpc::Caller& caller, const graph::v1::SetAdministratorRequest& request,
                                graph::v1::User& out);
  absl::Status ResetPassword(const rpc::Caller& caller, const graph::v1::ResetPasswordRequest& request,
                             graph::v1::PasswordReset& out);
  absl::Status Unblock(const rpc::Caller& caller, const std::string& id, graph::v1::User& out);
  // The id of a user whom the caller may govern as an administrator with a session.
  absl::StatusOr<Uuid> CheckGoverned(const rpc::Caller& caller, const std::string& id);

 private:
  absl::Status SetBlocked(const rpc::Caller& caller, const std::string& id, bool blocked, bool stop_devices,
                          graph::v1::User& out);

  AccountStore& accounts_;
  GraphStore& store_;
};

}  // namespace pepeunit::graph_registry
