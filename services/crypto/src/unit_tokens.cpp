#include "unit_tokens.h"

#include <charconv>
#include <optional>
#include <utility>

#include "ed25519.h"
#include "gcm.h"
#include "jws.h"
#include "pepeunit/base/bytes.h"
#include "pepeunit/base/errors.h"

namespace pepeunit::crypto {
namespace {

absl::Status NotIssuedHere() { return Unauthenticated("The unit's token was not issued by this instance."); }

struct KeyPair {
  std::uint32_t signing = 0;
  std::uint32_t encryption = 0;
};

std::string UnitKeyId(const KeyPair& ids) { return std::to_string(ids.signing) + '.' + std::to_string(ids.encryption); }

std::optional<KeyPair> ParseUnitKeyId(const std::string& kid) {
  KeyPair ids;
  const char* const end = kid.data() + kid.size();
  const auto [dot, signing_error] = std::from_chars(kid.data(), end, ids.signing);
  if (signing_error != std::errc() || dot == end || *dot != '.') return std::nullopt;
  const auto [last, encryption_error] = std::from_chars(dot + 1, end, ids.encryption);
  if (encryption_error != std::errc() || last != end) return std::nullopt;
  return ids;
}

// A key that is not there means a forged token; a store that does not answer is another matter.
absl::Status AsTokenError(const absl::Status& status) { return absl::IsNotFound(status) ? NotIssuedHere() : status; }

}  // namespace

absl::StatusOr<std::string> UnitTokens::Issue(const Uuid& unit, std::uint32_t generation) {
  const DataKeyPtr signing = keys_.Active(Purpose::kUnitSignature), encryption = keys_.Active(Purpose::kUnitToken);
  if (!signing || !encryption) return Internal("no active keys for unit tokens");
  const std::string header =
      Base64UrlEncode(AsBytes(UnitHeaderJson(UnitKeyId({.signing = signing->id, .encryption = encryption->id}))));
  const std::string claims = UnitClaimsJson({.unit = unit, .generation = generation, .issued = now_ms_() / 1000});
  std::string token = header + '.' + Base64UrlEncode(AsBytes(GcmSeal(encryption->secret, header, claims)));
  const std::string signature = Ed25519Sign(signing->secret, signing->public_key, token);
  return token + '.' + Base64UrlEncode(AsBytes(signature));
}

absl::StatusOr<UnitTokens::Opened> UnitTokens::Open(std::string_view token) {
  const std::size_t first = token.find('.'), last = token.rfind('.');
  if (token.size() > kMaxToken || first == std::string_view::npos || first == last) return NotIssuedHere();
  const std::string_view header = token.substr(0, first);
  const std::optional<std::string> header_json = Base64UrlDecode(header);
  const std::optional<std::string> middle = Base64UrlDecode(token.substr(first + 1, last - first - 1));
  const std::optional<std::string> signature = Base64UrlDecode(token.substr(last + 1));
  if (!header_json || !middle || !signature) return NotIssuedHere();
  const std::optional<std::string> kid = ParseUnitHeader(*header_json);
  const std::optional<KeyPair> ids = kid ? ParseUnitKeyId(*kid) : std::nullopt;
  if (!ids) return NotIssuedHere();

  const absl::StatusOr<DataKeyPtr> signing = keys_.Find(Purpose::kUnitSignature, ids->signing);
  if (!signing.ok()) return AsTokenError(signing.status());
  if (!Ed25519Verify((*signing)->public_key, token.substr(0, last), *signature)) return NotIssuedHere();
  const absl::StatusOr<DataKeyPtr> encryption = keys_.Find(Purpose::kUnitToken, ids->encryption);
  if (!encryption.ok()) return AsTokenError(encryption.status());
  const std::optional<std::string> claims_json = GcmOpen((*encryption)->secret, header, *middle);
  const std::optional<UnitClaims> claims = claims_json ? ParseUnitClaims(*claims_json) : std::nullopt;
  if (!claims) return NotIssuedHere();
  return Opened{.unit = claims->unit, .generation = claims->generation};
}

}  // namespace pepeunit::crypto
