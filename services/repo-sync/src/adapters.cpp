#include "adapters.h"

#include <string.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "pepeunit/base/errors.h"

namespace pepeunit::repo_sync {
namespace {

constexpr std::chrono::seconds kTimeout{5};

}  // namespace

CryptoCredentialBox::CryptoCredentialBox(const rpc::Channel& channel)
    : channel_(channel), stub_(crypto::v1::CryptoService::NewStub(channel.grpc())) {}

absl::StatusOr<Credentials> CryptoCredentialBox::Open(const Uuid& repo_unit, const std::string& sealed) {
  crypto::v1::OpenRequest request;
  request.set_ciphertext(sealed);
  request.set_context("graph.repo_unit.credentials:" + repo_unit.ToString());
  auto opened = rpc::Call<crypto::v1::OpenResponse>(channel_, rpc::Caller::Service(), kTimeout,
                                                    [&](auto* c, auto* r) { return stub_->Open(c, request, r); });
  if (!opened.ok()) return opened.status();
  const auto json = nlohmann::json::parse(opened->plaintext(), nullptr, false);
  ::explicit_bzero(opened->mutable_plaintext()->data(), opened->plaintext().size());
  const auto text = [&](const char* name) {
    const auto found = json.is_object() ? json.find(name) : json.end();
    return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  return Credentials{.username = text("username"),
                     .password = text("password"),
                     .private_key = text("private_key"),
                     .passphrase = text("passphrase")};
}

Graph::Graph(const rpc::Channel& channel)
    : channel_(channel), stub_(graph::v1::GraphInternalService::NewStub(channel.grpc())) {}

absl::StatusOr<std::vector<Wanted>> Graph::ListAll() {
  std::vector<Wanted> all;
  graph::v1::ListRepositoriesToKeepRequest request;
  do {
    PEPEUNIT_ASSIGN_OR_RETURN(const auto page, rpc::Call<graph::v1::ListRepositoriesToKeepResponse>(
                                                   channel_, rpc::Caller::Service(), kTimeout, [&](auto* c, auto* r) {
                                                     return stub_->ListRepositoriesToKeep(c, request, r);
                                                   }));
    for (const auto& repository : page.repositories()) {
      const auto id = Uuid::Parse(repository.repo_unit_id());
      if (!id) return Internal("a repository without a UUID");
      all.push_back({.id = *id,
                     .url = repository.url(),
                     .sync_period_s = repository.sync_period_s(),
                     .sync_requests = repository.sync_requests(),
                     .sealed_credentials = repository.sealed_credentials(),
                     .host_key = repository.ssh_host_key()});
    }
    request.set_cursor(page.next_cursor());
  } while (!request.cursor().empty());
  return all;
}

absl::StatusOr<SigningKeys> Graph::MayRead(const rpc::Caller& caller, const Uuid& repo_unit) {
  graph::v1::AuthorizeRequest request;
  request.set_node_id(repo_unit.ToString());
  request.set_permission(graph::v1::PERMISSION_READ);
  const auto answer = rpc::Call<graph::v1::AuthorizeResponse>(
      channel_, caller, kTimeout, [&](auto* c, auto* r) { return stub_->Authorize(c, request, r); });
  if (absl::IsNotFound(answer.status())) return NotFound("repo_unit");
  if (!answer.ok()) return answer.status();
  if (answer->node_type() != graph::v1::NODE_TYPE_REPO_UNIT) return NotFound("repo_unit");
  return SigningKeys(answer->signing_keys().begin(), answer->signing_keys().end());
}

}  // namespace pepeunit::repo_sync
