#include "access_tokens.h"

#include "ed25519.h"
#include "jws.h"
#include "pepeunit/base/bytes.h"
#include "pepeunit/base/errors.h"

namespace pepeunit::crypto {

absl::StatusOr<AccessTokens::Issued> AccessTokens::Issue(const Uuid& user, const Uuid& session, bool administrator,
                                                         int lifetime_s) {
  if (lifetime_s < 1 || lifetime_s > kMaxLifetime) return InvalidField("lifetime_s", "must be 1 to 3600");
  const DataKeyPtr key = keys_.Active(Purpose::kAccessSignature);
  if (!key) return Internal("no active key for access tokens");
  const std::int64_t now_s = now_ms_() / 1000;
  const AccessClaims claims{
      .user = user, .session = session, .administrator = administrator, .issued = now_s, .expires = now_s + lifetime_s};
  const std::string header = AccessHeaderJson(std::to_string(key->id));
  std::string token = Base64UrlEncode(AsBytes(header)) + '.' + Base64UrlEncode(AsBytes(AccessClaimsJson(claims)));
  const std::string signature = Ed25519Sign(key->secret, key->public_key, token);
  token += '.' + Base64UrlEncode(AsBytes(signature));
  return Issued{.token = std::move(token), .expires_at_s = claims.expires};
}

std::vector<AccessTokens::VerificationKey> AccessTokens::VerificationKeys() {
  std::vector<VerificationKey> found;
  for (const DataKeyPtr& key : keys_.All(Purpose::kAccessSignature)) {
    found.push_back({.id = std::to_string(key->id), .ed25519 = key->public_key});
  }
  return found;
}

}  // namespace pepeunit::crypto
