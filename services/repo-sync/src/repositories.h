#pragma once

#include <functional>
#include <string>

#include "copies.h"
#include "pepeunit/repo/v1/repositories.pb.h"
#include "pepeunit/rpc/server.h"
#include "store.h"

namespace pepeunit::repo_sync {

// Who may see what: the graph decides, for the caller of our own rpc.
class Rights {
 public:
  virtual ~Rights() = default;
  // With the repository's signing keys.
  virtual absl::StatusOr<SigningKeys> MayRead(const rpc::Caller& caller, const Uuid& repo_unit) = 0;
};

// Answers what is in the copies, to people and to services. Thread-safe.
class Repositories {
 public:
  Repositories(Copies& copies, RepositoryStore& store, Rights& rights)
      : copies_(copies), store_(store), rights_(rights) {}

  absl::Status Branches(const rpc::Context& call, const repo::v1::ListBranchesRequest& request,
                        repo::v1::ListBranchesResponse& out);
  absl::Status Tags(const rpc::Context& call, const repo::v1::ListTagsRequest& request,
                    repo::v1::ListTagsResponse& out);
  absl::Status Commits(const rpc::Context& call, const repo::v1::ListCommitsRequest& request,
                       repo::v1::ListCommitsResponse& out);
  absl::Status Syncs(const rpc::Context& call, const repo::v1::ListSyncsRequest& request,
                     repo::v1::ListSyncsResponse& out);

  // For services only, which have asked for the rights themselves.
  absl::Status Resolve(const rpc::Context& call, const repo::v1::ResolveVersionRequest& request,
                       repo::v1::ResolveVersionResponse& out);
  absl::Status ReadTree(const rpc::Context& call, const repo::v1::ReadTreeRequest& request,
                        const std::function<bool(const repo::v1::TreePiece&)>& write);

 private:
  struct Admitted {
    Uuid id;
    SigningKeys keys;
  };
  absl::StatusOr<Admitted> Admit(const rpc::Context& call, const std::string& repo_unit);
  // Sets the signature of each item, all of which have a commit, when the repository has signing keys.
  template <typename Items, typename CommitOf>
  absl::Status ShowSignatures(const Admitted& repository, Items* items, CommitOf commit_of);
  absl::StatusOr<Uuid> AdmitService(const rpc::Context& call, const std::string& repo_unit);
  // Says more about a copy that is not there.
  absl::Status Explain(const Uuid& id, const absl::Status& status);

  Copies& copies_;
  RepositoryStore& store_;
  Rights& rights_;
};

}  // namespace pepeunit::repo_sync
