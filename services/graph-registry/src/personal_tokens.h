#pragma once

#include <string>

#include "pepeunit/rpc/caller.h"
#include "token_store.h"

namespace pepeunit::graph_registry {

// Personal access tokens: made, listed and revoked by their users, and opened for the gateway (A5). Thread-safe.
class PersonalTokens {
 public:
  explicit PersonalTokens(TokenStore& store) : store_(store) {}

  absl::Status Create(const rpc::Caller& caller, const graph::v1::CreatePersonalTokenRequest& request,
                      graph::v1::IssuedPersonalToken& out);
  absl::Status List(const rpc::Caller& caller, const graph::v1::ListPersonalTokensRequest& request,
                    graph::v1::ListPersonalTokensResponse& out);
  absl::Status Delete(const rpc::Caller& caller, const std::string& id);

 private:
  TokenStore& store_;
};

}  // namespace pepeunit::graph_registry
