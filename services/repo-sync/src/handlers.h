#pragma once

#include "pepeunit/repo/v1/repositories.grpc.pb.h"
#include "pepeunit/rpc/server.h"
#include "repositories.h"

// gRPC in front of the domain: one forwarding line per rpc.
namespace pepeunit::repo_sync {

class RepositoryHandler final : public repo::v1::RepositoryService::CallbackService {
 public:
  RepositoryHandler(rpc::Calls& calls, Repositories& repositories) : calls_(calls), repositories_(repositories) {}
  grpc::ServerUnaryReactor* ListBranches(grpc::CallbackServerContext* c, const repo::v1::ListBranchesRequest* q,
                                         repo::v1::ListBranchesResponse* r) override {
    return calls_.Unary(c, q, r, [&d = repositories_](const rpc::Context& x, const auto& request, auto& response) {
      return d.Branches(x, request, response);
    });
  }
  grpc::ServerUnaryReactor* ListTags(grpc::CallbackServerContext* c, const repo::v1::ListTagsRequest* q,
                                     repo::v1::ListTagsResponse* r) override {
    return calls_.Unary(c, q, r, [&d = repositories_](const rpc::Context& x, const auto& request, auto& response) {
      return d.Tags(x, request, response);
    });
  }
  grpc::ServerUnaryReactor* ListCommits(grpc::CallbackServerContext* c, const repo::v1::ListCommitsRequest* q,
                                        repo::v1::ListCommitsResponse* r) override {
    return calls_.Unary(c, q, r, [&d = repositories_](const rpc::Context& x, const auto& request, auto& response) {
      return d.Commits(x, request, response);
    });
  }
  grpc::ServerUnaryReactor* ListSyncs(grpc::CallbackServerContext* c, const repo::v1::ListSyncsRequest* q,
                                      repo::v1::ListSyncsResponse* r) override {
    return calls_.Unary(c, q, r, [&d = repositories_](const rpc::Context& x, const auto& request, auto& response) {
      return d.Syncs(x, request, response);
    });
  }

 private:
  rpc::Calls& calls_;
  Repositories& repositories_;
};

class RepositoryInternalHandler final : public repo::v1::RepositoryInternalService::CallbackService {
 public:
  // `trees` are read at the pace of who downloads them, which must not hold up anything else.
  RepositoryInternalHandler(rpc::Calls& calls, rpc::Calls& trees, Repositories& repositories)
      : calls_(calls), trees_(trees), repositories_(repositories) {}
  grpc::ServerUnaryReactor* ResolveVersion(grpc::CallbackServerContext* c, const repo::v1::ResolveVersionRequest* q,
                                           repo::v1::ResolveVersionResponse* r) override {
    return calls_.Unary(c, q, r, [&d = repositories_](const rpc::Context& x, const auto& request, auto& response) {
      return d.Resolve(x, request, response);
    });
  }
  grpc::ServerWriteReactor<repo::v1::TreePiece>* ReadTree(grpc::CallbackServerContext* c,
                                                          const repo::v1::ReadTreeRequest* q) override {
    return trees_.ServerStream<repo::v1::ReadTreeRequest, repo::v1::TreePiece>(
        c, q, [&d = repositories_](const rpc::Context& x, const auto& request, const auto& write) {
          return d.ReadTree(x, request, write);
        });
  }

 private:
  rpc::Calls &calls_, &trees_;
  Repositories& repositories_;
};

}  // namespace pepeunit::repo_sync
