#include "api.h"

#include "pepeunit/base/errors.h"
#include "pepeunit/base/uuid.h"

namespace pepeunit::crypto {
namespace {

absl::StatusOr<Uuid> RequireUuid(const std::string& field, const std::string& text) {
  const std::optional<Uuid> id = Uuid::Parse(text);
  if (!id || id->IsNil()) return InvalidField(field, "must be a UUID");
  return *id;
}

}  // namespace

absl::Status Api::Seal(const v1::SealRequest& request, v1::SealResponse& response) {
  PEPEUNIT_ASSIGN_OR_RETURN(*response.mutable_ciphertext(), sealer_.Seal(request.plaintext(), request.context()));
  return absl::OkStatus();
}

absl::Status Api::Open(const v1::OpenRequest& request, v1::OpenResponse& response) {
  PEPEUNIT_ASSIGN_OR_RETURN(*response.mutable_plaintext(), sealer_.Open(request.ciphertext(), request.context()));
  return absl::OkStatus();
}

absl::Status Api::HashPassword(const v1::HashPasswordRequest& request, v1::HashPasswordResponse& response) {
  PEPEUNIT_ASSIGN_OR_RETURN(*response.mutable_hash(), passwords_.Hash(request.password()));
  return absl::OkStatus();
}

absl::Status Api::VerifyPassword(const v1::VerifyPasswordRequest& request, v1::VerifyPasswordResponse& response) {
  PEPEUNIT_ASSIGN_OR_RETURN(const bool matches, passwords_.Verify(request.password(), request.hash()));
  response.set_matches(matches);
  return absl::OkStatus();
}

absl::Status Api::IssueAccessToken(const v1::IssueAccessTokenRequest& request, v1::IssueAccessTokenResponse& response) {
  PEPEUNIT_ASSIGN_OR_RETURN(const Uuid user, RequireUuid("user_id", request.user_id()));
  PEPEUNIT_ASSIGN_OR_RETURN(const Uuid session, RequireUuid("session_id", request.session_id()));
  PEPEUNIT_ASSIGN_OR_RETURN(AccessTokens::Issued issued,
                            access_tokens_.Issue(user, session, request.administrator(), request.lifetime_s()));
  response.set_token(std::move(issued.token));
  response.set_expires_at_s(issued.expires_at_s);
  return absl::OkStatus();
}

absl::Status Api::GetVerificationKeys(const v1::GetVerificationKeysRequest&,
                                      v1::GetVerificationKeysResponse& response) {
  for (AccessTokens::VerificationKey& key : access_tokens_.VerificationKeys()) {
    v1::VerificationKey& out = *response.add_keys();
    out.set_id(std::move(key.id));
    out.set_ed25519(std::move(key.ed25519));
  }
  return absl::OkStatus();
}

absl::Status Api::IssueUnitToken(const v1::IssueUnitTokenRequest& request, v1::IssueUnitTokenResponse& response) {
  PEPEUNIT_ASSIGN_OR_RETURN(const Uuid unit, RequireUuid("unit_id", request.unit_id()));
  PEPEUNIT_ASSIGN_OR_RETURN(*response.mutable_token(), unit_tokens_.Issue(unit, request.generation()));
  return absl::OkStatus();
}

absl::Status Api::OpenUnitToken(const v1::OpenUnitTokenRequest& request, v1::OpenUnitTokenResponse& response) {
  PEPEUNIT_ASSIGN_OR_RETURN(const UnitTokens::Opened opened, unit_tokens_.Open(request.token()));
  response.set_unit_id(opened.unit.ToString());
  response.set_generation(opened.generation);
  return absl::OkStatus();
}

}  // namespace pepeunit::crypto
