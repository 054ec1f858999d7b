#include "adapters.h"

#include <chrono>
#include <nlohmann/json.hpp>

#include "pepeunit/base/errors.h"
#include "pepeunit/base/log.h"
#include "pepeunit/base/trace.h"

namespace pepeunit::graph_registry {
namespace {

using std::chrono::seconds;
constexpr seconds kTimeout{5};
constexpr seconds kGateTimeout{2};
constexpr seconds kPasswordTimeout{10};  // scrypt is slow on purpose, and waits its turn

const rpc::Caller& Self() {
  static const rpc::Caller self = rpc::Caller::Service();
  return self;
}

}  // namespace

CryptoSecretBox::CryptoSecretBox(const rpc::Channel& channel)
    : channel_(channel), stub_(crypto::v1::CryptoService::NewStub(channel.grpc())) {}

absl::StatusOr<std::string> CryptoSecretBox::Seal(const std::string& plaintext, const std::string& context) {
  crypto::v1::SealRequest request;
  request.set_plaintext(plaintext);
  request.set_context(context);
  auto answer = rpc::Call<crypto::v1::SealResponse>(channel_, Self(), kTimeout,
                                                    [&](auto* c, auto* r) { return stub_->Seal(c, request, r); });
  if (!answer.ok()) return answer.status();
  return answer->ciphertext();
}

absl::StatusOr<std::string> CryptoSecretBox::SealCredentials(const Uuid& repo_unit,
                                                             const graph::v1::RepoCredentials& credentials) {
  nlohmann::json json = {{"username", credentials.username()}, {"password", credentials.password()}};
  if (!credentials.private_key().empty()) json["private_key"] = credentials.private_key();
  if (!credentials.passphrase().empty()) json["passphrase"] = credentials.passphrase();
  return Seal(json.dump(), "graph.repo_unit.credentials:" + repo_unit.ToString());
}

absl::StatusOr<std::string> CryptoSecretBox::OpenEnv(const Uuid& unit, const std::string& sealed) {
  crypto::v1::OpenRequest request;
  request.set_ciphertext(sealed);
  request.set_context("graph.unit.env:" + unit.ToString());
  auto answer = rpc::Call<crypto::v1::OpenResponse>(channel_, Self(), kTimeout,
                                                    [&](auto* c, auto* r) { return stub_->Open(c, request, r); });
  if (absl::IsInvalidArgument(answer.status())) return Internal("the sealed env of a unit does not open");
  if (!answer.ok()) return answer.status();
  return std::move(*answer->mutable_plaintext());
}

absl::StatusOr<std::string> CryptoSecretBox::HashPassword(const std::string& password) {
  crypto::v1::HashPasswordRequest request;
  request.set_password(password);
  auto answer = rpc::Call<crypto::v1::HashPasswordResponse>(
      channel_, Self(), kPasswordTimeout, [&](auto* c, auto* r) { return stub_->HashPassword(c, request, r); });
  if (!answer.ok()) return answer.status();
  return answer->hash();
}

absl::StatusOr<bool> CryptoSecretBox::VerifyPassword(const std::string& password, const std::string& hash) {
  crypto::v1::VerifyPasswordRequest request;
  request.set_password(password);
  request.set_hash(hash);
  auto answer = rpc::Call<crypto::v1::VerifyPasswordResponse>(
      channel_, Self(), kPasswordTimeout, [&](auto* c, auto* r) { return stub_->VerifyPassword(c, request, r); });
  if (!answer.ok()) return answer.status();
  return answer->matches();
}

absl::StatusOr<IssuedAccess> CryptoSecretBox::IssueAccessToken(const Uuid& user, const Uuid& session,
                                                               bool administrator, std::int32_t lifetime_s) {
  crypto::v1::IssueAccessTokenRequest request;
  request.set_user_id(user.ToString());
  request.set_session_id(session.ToString());
  request.set_administrator(administrator);
  request.set_lifetime_s(lifetime_s);
  auto answer = rpc::Call<crypto::v1::IssueAccessTokenResponse>(
      channel_, Self(), kTimeout, [&](auto* c, auto* r) { return stub_->IssueAccessToken(c, request, r); });
  if (!answer.ok()) return answer.status();
  return IssuedAccess{answer->token(), answer->expires_at_s()};
}

absl::StatusOr<std::string> CryptoSecretBox::IssueUnitToken(const Uuid& unit, std::uint32_t generation) {
  crypto::v1::IssueUnitTokenRequest request;
  request.set_unit_id(unit.ToString());
  request.set_generation(generation);
  auto answer = rpc::Call<crypto::v1::IssueUnitTokenResponse>(
      channel_, Self(), kTimeout, [&](auto* c, auto* r) { return stub_->IssueUnitToken(c, request, r); });
  if (!answer.ok()) return answer.status();
  return answer->token();
}

RepoSyncVersions::RepoSyncVersions(const rpc::Channel& channel)
    : channel_(channel), stub_(repo::v1::RepositoryInternalService::NewStub(channel.grpc())) {}

absl::StatusOr<repo::v1::ResolveVersionResponse> RepoSyncVersions::Resolve(
    const repo::v1::ResolveVersionRequest& request) {
  return rpc::Call<repo::v1::ResolveVersionResponse>(
      channel_, Self(), kTimeout, [&](auto* c, auto* r) { return stub_->ResolveVersion(c, request, r); });
}

StateLogger::StateLogger(const rpc::Channel& channel)
    : channel_(channel), stub_(log::v1::ValueInternalService::NewStub(channel.grpc())) {}

absl::Status StateLogger::Apply(const std::vector<bus::v1::UnitChanged>& changes) {
  log::v1::ApplyUnitChangesRequest request;
  for (const auto& changed : changes) *request.add_changes() = changed;
  const auto told = rpc::Call<google::protobuf::Empty>(channel_, Self(), kGateTimeout, [&](auto* c, auto* r) {
    c->set_wait_for_ready(true);  // a connection that is being made is worth the wait: the answer is exact then
    return stub_->ApplyUnitChanges(c, request, r);
  });
  return told.status();
}

absl::StatusOr<std::map<Uuid, bus::v1::Scalar>> StateLogger::Of(const Uuid& unit) {
  log::v1::GetUnitSnapshotRequest request;
  request.set_unit_id(unit.ToString());
  const auto answer = rpc::Call<log::v1::UnitSnapshot>(
      channel_, Self(), kTimeout, [&](auto* c, auto* r) { return stub_->GetUnitSnapshot(c, request, r); });
  if (!answer.ok()) return answer.status();
  std::map<Uuid, bus::v1::Scalar> inputs;
  for (const auto& input : answer->inputs()) {
    if (const auto id = Uuid::FromBytes(input.input_id())) inputs.emplace(*id, input.value());
  }
  return inputs;
}

absl::Status BusValueStream::Write(const bus::v1::InputWrite& write) {
  const auto unit = Uuid::FromBytes(write.unit_id());
  if (!unit) return Internal("an input write without a unit");
  bus::v1::ValueMessage message;
  *message.mutable_input() = write;
  bus::PublishOptions options;
  if (CurrentTrace().valid()) options.traceparent = CurrentTrace().ToTraceparent();
  const std::string subject = bus::InputSubject(PartitionOf(*unit, partitions_), unit->ToString());
  const bus::PublishResult result = bus_.PublishAndWait(subject, message.SerializeAsString(), options);
  if (result.status.ok() || absl::IsResourceExhausted(result.status)) return result.status;
  log::Warning("a value was not confirmed by the bus", {{"status", result.status}});
  return Unavailable("The value may not have been stored, for the bus does not answer; give it again.");
}

}  // namespace pepeunit::graph_registry
