#pragma once

#include <string>
#include <vector>

#include "pepeunit/rpc/caller.h"
#include "ports.h"
#include "store.h"

namespace pepeunit::graph_registry {

// Nodes that stand for repositories (R). Thread-safe.
class RepoUnits {
 public:
  RepoUnits(GraphStore& store, SecretBox& secrets, Versions& versions,
            std::vector<graph::v1::StandardRepository> standard)
      : store_(store), secrets_(secrets), versions_(versions), standard_(std::move(standard)) {}

  absl::Status Create(const rpc::Caller& caller, const graph::v1::CreateRepoUnitRequest& request,
                      graph::v1::RepoUnit& out);
  absl::Status Get(const rpc::Caller& caller, const std::string& id, graph::v1::RepoUnit& out);
  absl::Status List(const rpc::Caller& caller, const graph::v1::ListRepoUnitsRequest& request,
                    graph::v1::ListRepoUnitsResponse& out);
  absl::Status Update(const rpc::Caller& caller, const graph::v1::UpdateRepoUnitRequest& request,
                      graph::v1::RepoUnit& out);
  absl::Status Delete(const rpc::Caller& caller, const std::string& id);
  absl::Status Sync(const rpc::Caller& caller, const std::string& id, graph::v1::RepoUnit& out);
  absl::Status ListStandard(graph::v1::ListStandardRepositoriesResponse& out) const;

 private:
  absl::StatusOr<NodeFacts> CheckRepo(const rpc::Caller& caller, const std::string& id, access::Role needed);
  absl::Status UpdateOnce(const rpc::Caller& caller, const graph::v1::UpdateRepoUnitRequest& request,
                          graph::v1::RepoUnit& out);
  absl::Status CheckBranch(const std::string& repo, const std::string& branch);

  GraphStore& store_;
  SecretBox& secrets_;
  Versions& versions_;
  const std::vector<graph::v1::StandardRepository> standard_;
};

}  // namespace pepeunit::graph_registry
