#pragma once

#include <string>

#include "pepeunit/rpc/caller.h"
#include "token_store.h"

namespace pepeunit::graph_registry {

// What other services ask of the graph. Thread-safe.
class Internals {
 public:
  Internals(GraphStore& store, TokenStore& tokens) : store_(store), tokens_(tokens) {}

  absl::Status Authorize(const rpc::Caller& caller, const graph::v1::AuthorizeRequest& request,
                         graph::v1::AuthorizeResponse& out);
  absl::Status AuthorizeLink(const rpc::Caller& caller, const std::string& link);
  absl::Status UnitProfile(const rpc::Caller& caller, const std::string& unit, graph::v1::UnitProfile& out);
  absl::Status UnitPackage(const rpc::Caller& caller, const std::string& unit, graph::v1::UnitPackage& out);
  absl::Status RepositoriesToKeep(const rpc::Caller& caller, const std::string& cursor,
                                  graph::v1::ListRepositoriesToKeepResponse& out);
  absl::Status FindOutputs(const rpc::Caller& caller, const graph::v1::FindOutputsRequest& request,
                           graph::v1::FindOutputsResponse& out);
  absl::Status Histories(const rpc::Caller& caller, const std::string& cursor, graph::v1::ListHistoriesResponse& out);
  absl::Status OpenToken(const rpc::Caller& caller, const std::string& hash, graph::v1::OpenedPersonalToken& out);

 private:
  GraphStore& store_;
  TokenStore& tokens_;
};

}  // namespace pepeunit::graph_registry
