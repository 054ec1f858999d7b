#include "access_token.h"

#include <cryptopp/donna.h>

#include <array>
#include <nlohmann/json.hpp>

#include "pepeunit/base/bytes.h"
#include "pepeunit/base/errors.h"

namespace pepeunit::gateway {
namespace {

using nlohmann::json;

constexpr std::size_t kMostTokenBytes = 2048;
constexpr std::size_t kMostKeyIdBytes = 64;
constexpr std::int64_t kClockSkewS = 60;  // how far ahead the clock of the machine that signed may be

struct Parts {
  std::string_view header, claims, signature;
  std::string_view signed_text;  // header.claims
};

std::optional<Parts> SplitToken(std::string_view token) {
  if (token.size() > kMostTokenBytes) return std::nullopt;
  const auto first = token.find('.');
  if (first == std::string_view::npos) return std::nullopt;
  const auto second = token.find('.', first + 1);
  if (second == std::string_view::npos || token.find('.', second + 1) != std::string_view::npos) return std::nullopt;
  return Parts{token.substr(0, first), token.substr(first + 1, second - first - 1), token.substr(second + 1),
               token.substr(0, second)};
}

std::optional<json> DecodeObject(std::string_view part) {
  const auto text = Base64UrlDecode(part);
  if (!text) return std::nullopt;
  json parsed = json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) return std::nullopt;
  return parsed;
}

std::string TextOf(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::optional<std::int64_t> TimeOf(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_integer()) return std::nullopt;
  return found->get<std::int64_t>();
}

const CryptoPP::byte* DonnaBytes(std::string_view text) { return reinterpret_cast<const CryptoPP::byte*>(text.data()); }

// Whether the second half of the signature (little-endian) is below the order of the group, so that one signature
// has one form; Crypto++ does not look (RFC 8032, section 5.1.7).
bool ScalarIsReduced(std::string_view signature) {
  static constexpr std::array<std::uint8_t, 32> kOrder = {
      0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
      0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0x10};
  for (std::size_t i = kOrder.size(); i-- > 0;) {
    const auto byte = static_cast<std::uint8_t>(signature[32 + i]);
    if (byte != kOrder[i]) return byte < kOrder[i];
  }
  return false;
}

bool SignatureHolds(const std::string& public_key, std::string_view text, std::string_view signature) {
  if (public_key.size() != 32 || signature.size() != 64 || !ScalarIsReduced(signature)) return false;
  return CryptoPP::Donna::ed25519_sign_open(DonnaBytes(text), text.size(), DonnaBytes(public_key),
                                            DonnaBytes(signature)) == 0;
}

absl::Status BadToken() { return Unauthenticated("The access token is not valid; sign in again."); }

}  // namespace

std::optional<std::string> KeyIdOf(std::string_view token) {
  const auto parts = SplitToken(token);
  if (!parts) return std::nullopt;
  const auto header = DecodeObject(parts->header);
  if (!header || TextOf(*header, "alg") != "EdDSA" || TextOf(*header, "typ") != "JWT" || header->contains("crit")) {
    return std::nullopt;
  }
  std::string id = TextOf(*header, "kid");
  if (id.empty() || id.size() > kMostKeyIdBytes) return std::nullopt;
  return id;
}

absl::StatusOr<rpc::Caller> VerifyAccessToken(std::string_view token, const VerificationKeys& keys,
                                              std::int64_t now_s) {
  const auto id = KeyIdOf(token);
  if (!id) return BadToken();
  const auto key = keys.find(*id);
  if (key == keys.end()) return BadToken();
  const auto parts = SplitToken(token);
  const auto signature = Base64UrlDecode(parts->signature);
  if (!signature || !SignatureHolds(key->second, parts->signed_text, *signature)) return BadToken();

  const auto claims = DecodeObject(parts->claims);
  if (!claims || TextOf(*claims, "iss") != "pepeunit") return BadToken();
  const auto user = Uuid::Parse(TextOf(*claims, "sub")), session = Uuid::Parse(TextOf(*claims, "sid"));
  const auto issued = TimeOf(*claims, "iat"), expires = TimeOf(*claims, "exp");
  const auto administrator = claims->find("adm");
  if (!user || !session || !issued || !expires || administrator == claims->end() || !administrator->is_boolean()) {
    return BadToken();
  }
  if (*expires <= now_s) return Unauthenticated("The access token has expired; refresh the session.");
  if (*issued > now_s + kClockSkewS) return BadToken();
  rpc::Caller caller;
  caller.kind = rpc::Caller::Kind::kUser;
  caller.user_id = *user;
  caller.session_id = *session;
  caller.administrator = administrator->get<bool>();
  return caller;
}

}  // namespace pepeunit::gateway
