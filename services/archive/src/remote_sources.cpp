#include "remote_sources.h"

#include <string.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "pepeunit/base/errors.h"

namespace pepeunit::archive {
namespace {

constexpr std::chrono::milliseconds kUnaryTimeout{5'000};

std::chrono::milliseconds Remaining(const rpc::Context& call) {
  return std::max(std::chrono::milliseconds(1), std::chrono::duration_cast<std::chrono::milliseconds>(
                                                    call.deadline - std::chrono::system_clock::now()));
}

std::chrono::milliseconds UnaryTimeout(const rpc::Context& call) { return std::min(kUnaryTimeout, Remaining(call)); }

Piece::Kind KindOf(repo::v1::TreeEntryKind kind) {
  return kind == repo::v1::TREE_ENTRY_KIND_SYMBOLIC_LINK ? Piece::Kind::kSymbolicLink
         : kind == repo::v1::TREE_ENTRY_KIND_SUBMODULE   ? Piece::Kind::kSubmodule
                                                         : Piece::Kind::kFile;
}

}  // namespace

RemoteSources::RemoteSources(const rpc::Channel& graph, const rpc::Channel& crypto, const rpc::Channel& repo)
    : graph_channel_(graph),
      crypto_channel_(crypto),
      repo_channel_(repo),
      graph_(graph::v1::GraphInternalService::NewStub(graph.grpc())),
      crypto_(crypto::v1::CryptoService::NewStub(crypto.grpc())),
      repo_(repo::v1::RepositoryInternalService::NewStub(repo.grpc())) {}

absl::StatusOr<Package> RemoteSources::GetPackage(const rpc::Context& call, const Uuid& unit) {
  graph::v1::GetUnitPackageRequest request;
  request.set_unit_id(unit.ToString());
  PEPEUNIT_ASSIGN_OR_RETURN(
      graph::v1::UnitPackage found,
      rpc::Call<graph::v1::UnitPackage>(graph_channel_, call.caller, UnaryTimeout(call),
                                        [&](auto* c, auto* r) { return graph_->GetUnitPackage(c, request, r); }));
  return Package{.unit = unit,
                 .unit_name = found.unit_name(),
                 .repo_unit_id = found.repo_unit_id(),
                 .commit = found.commit(),
                 .sealed_env = std::move(*found.mutable_sealed_env())};
}

absl::StatusOr<std::string> RemoteSources::OpenEnv(const rpc::Context& call, const Package& package) {
  crypto::v1::OpenRequest request;
  request.set_ciphertext(package.sealed_env);
  request.set_context("graph.unit.env:" + package.unit.ToString());
  auto opened = rpc::Call<crypto::v1::OpenResponse>(crypto_channel_, rpc::Caller::Service(), UnaryTimeout(call),
                                                    [&](auto* c, auto* r) { return crypto_->Open(c, request, r); });
  if (absl::IsInvalidArgument(opened.status())) return Internal("the sealed env of a unit does not open");
  if (!opened.ok()) return opened.status();
  std::string env = opened->plaintext();
  ::explicit_bzero(opened->mutable_plaintext()->data(), opened->plaintext().size());
  return env;
}

absl::Status RemoteSources::ReadTree(const rpc::Context& call, const Package& package,
                                     const std::function<absl::Status(const Piece&)>& take) {
  repo::v1::ReadTreeRequest request;
  request.set_repo_unit_id(package.repo_unit_id);
  request.set_commit(package.commit);
  grpc::ClientContext context;
  repo_channel_.Prepare(context, rpc::Caller::Service(), Remaining(call));
  const auto reader = repo_->ReadTree(&context, request);
  repo::v1::TreePiece read;
  while (reader->Read(&read)) {
    Piece piece{.path = std::move(*read.mutable_path()),
                .kind = KindOf(read.kind()),
                .size = read.size(),
                .executable = read.executable(),
                .data = std::move(*read.mutable_data())};
    if (absl::Status taken = take(piece); !taken.ok()) {
      context.TryCancel();
      reader->Finish();
      return taken;
    }
  }
  return rpc::FromGrpc(reader->Finish());
}

}  // namespace pepeunit::archive
