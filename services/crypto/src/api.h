#pragma once

#include "absl/status/status.h"
#include "access_tokens.h"
#include "passwords.h"
#include "pepeunit/crypto/v1/crypto.pb.h"
#include "sealer.h"
#include "unit_tokens.h"

namespace pepeunit::crypto {

// The API's messages in terms of the domain. Thread-safe.
class Api {
 public:
  // All outlive it.
  Api(Sealer& sealer, Passwords& passwords, AccessTokens& access_tokens, UnitTokens& unit_tokens)
      : sealer_(sealer), passwords_(passwords), access_tokens_(access_tokens), unit_tokens_(unit_tokens) {}

  absl::Status Seal(const v1::SealRequest& request, v1::SealResponse& response);
  absl::Status Open(const v1::OpenRequest& request, v1::OpenResponse& response);
  absl::Status HashPassword(const v1::HashPasswordRequest& request, v1::HashPasswordResponse& response);
  absl::Status VerifyPassword(const v1::VerifyPasswordRequest& request, v1::VerifyPasswordResponse& response);
  absl::Status IssueAccessToken(const v1::IssueAccessTokenRequest& request, v1::IssueAccessTokenResponse& response);
  absl::Status GetVerificationKeys(const v1::GetVerificationKeysRequest& request,
                                   v1::GetVerificationKeysResponse& response);
  absl::Status IssueUnitToken(const v1::IssueUnitTokenRequest& request, v1::IssueUnitTokenResponse& response);
  absl::Status OpenUnitToken(const v1::OpenUnitTokenRequest& request, v1::OpenUnitTokenResponse& response);

 private:
  Sealer& sealer_;
  Passwords& passwords_;
  AccessTokens& access_tokens_;
  UnitTokens& unit_tokens_;
};

}  // namespace pepeunit::crypto
