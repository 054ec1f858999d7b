#include "id_token.h"

#include <cryptopp/donna.h>
#include <cryptopp/eccrypto.h>
#include <cryptopp/oids.h>
#include <cryptopp/osrng.h>
#include <cryptopp/rsa.h>

#include <algorithm>
#include <optional>

#include "pepeunit/base/bytes.h"

namespace pepeunit::graph_registry {
namespace {

using nlohmann::json;

constexpr std::size_t kMostTokenBytes = 16'384;
constexpr std::size_t kMostSubjectBytes = 255;  // OpenID Connect Core, section 2
constexpr std::size_t kMostKeys = 100;
constexpr std::size_t kLeastRsaBits = 2048, kMostRsaBits = 8192;
constexpr std::int64_t kSkewS = 60;  // between the provider's clock and ours

absl::Status Bad(const std::string& what) { return absl::InvalidArgumentError(what); }

std::string MemberOf(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::optional<std::int64_t> SecondsOf(const json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_number()) return std::nullopt;
  const double value = found->get<double>();
  if (!(value > 0 && value < 1e12)) return std::nullopt;
  return static_cast<std::int64_t>(value);
}

const CryptoPP::byte* Raw(std::string_view text) { return reinterpret_cast<const CryptoPP::byte*>(text.data()); }

CryptoPP::Integer NumberOf(const std::string& bytes) { return {Raw(bytes), bytes.size()}; }

bool RsaHolds(const std::string& modulus, const std::string& exponent, std::string_view text,
              const std::string& signature) {
  const CryptoPP::Integer n = NumberOf(modulus), e = NumberOf(exponent);
  if (n.BitCount() < kLeastRsaBits || n.BitCount() > kMostRsaBits || n.IsEven()) return false;
  if (e.IsEven() || e < 3 || e.BitCount() > 64) return false;
  const CryptoPP::RSASS<CryptoPP::PKCS1v15, CryptoPP::SHA256>::Verifier verifier(n, e);
  return signature.size() == verifier.SignatureLength() &&
         verifier.VerifyMessage(Raw(text), text.size(), Raw(signature), signature.size());
}

bool EcdsaHolds(const std::string& x, const std::string& y, std::string_view text, const std::string& signature) {
  if (x.size() != 32 || y.size() != 32 || signature.size() != 64) return false;
  CryptoPP::ECDSA<CryptoPP::ECP, CryptoPP::SHA256>::PublicKey key;
  key.Initialize(CryptoPP::ASN1::secp256r1(), CryptoPP::ECP::Point(NumberOf(x), NumberOf(y)));
  CryptoPP::AutoSeededRandomPool random;
  if (!key.Validate(random, 3)) return false;  // a point of the curve
  const CryptoPP::ECDSA<CryptoPP::ECP, CryptoPP::SHA256>::Verifier verifier(key);
  return verifier.VerifyMessage(Raw(text), text.size(), Raw(signature), signature.size());
}

bool Ed25519Holds(const std::string& key, std::string_view text, const std::string& signature) {
  if (key.size() != 32 || signature.size() != 64) return false;
  return CryptoPP::Donna::ed25519_sign_open(Raw(text), text.size(), Raw(key), Raw(signature)) == 0;
}

std::optional<json> ReadPart(std::string_view part) {
  const auto text = Base64UrlDecode(part);
  if (!text) return std::nullopt;
  json parsed = json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) return std::nullopt;
  return parsed;
}

bool IsFor(const json& claims, const std::string& client_id) {
  const auto audience = claims.find("aud");
  if (audience == claims.end()) return false;
  if (audience->is_string()) return *audience == client_id;
  if (!audience->is_array() || std::find(audience->begin(), audience->end(), client_id) == audience->end())
    return false;
  return audience->size() == 1 || MemberOf(claims, "azp") == client_id;
}

absl::StatusOr<IdTokenClaims> CheckClaims(const json& claims, const IdTokenRules& rules) {
  if (MemberOf(claims, "iss") != rules.issuer) return Bad("iss is another");
  if (!IsFor(claims, rules.client_id)) return Bad("aud is another");
  if (claims.contains("azp") && MemberOf(claims, "azp") != rules.client_id) return Bad("azp is another");
  const auto expires = SecondsOf(claims, "exp"), issued = SecondsOf(claims, "iat");
  if (!expires || *expires + kSkewS <= rules.now_s) return Bad("exp is past or missing");
  if (!issued || *issued > rules.now_s + kSkewS) return Bad("iat lies ahead or is missing");
  if (claims.contains("nbf")) {
    const auto begins = SecondsOf(claims, "nbf");
    if (!begins || *begins > rules.now_s + kSkewS) return Bad("nbf lies ahead");
  }
  if (rules.nonce.empty() || !ConstantTimeEqual(AsBytes(MemberOf(claims, "nonce")), AsBytes(rules.nonce)))
    return Bad("nonce is another");
  IdTokenClaims out{.subject = MemberOf(claims, "sub"), .preferred_username = MemberOf(claims, "preferred_username")};
  const bool printable = std::all_of(out.subject.begin(), out.subject.end(), [](char c) { return c >= 32 && c < 127; });
  if (out.subject.empty() || out.subject.size() > kMostSubjectBytes || !printable) return Bad("sub is no subject");
  return out;
}

}  // namespace

std::optional<KeySet::Key> KeySet::ReadKey(const json& jwk) {
  if (!jwk.is_object() || jwk.value("use", json("sig")) != "sig") return std::nullopt;
  const std::string type = MemberOf(jwk, "kty"), curve = MemberOf(jwk, "crv");
  Key key{.algorithm = "", .id = MemberOf(jwk, "kid"), .first = "", .second = ""};
  const char *first = "x", *second = "y";
  if (type == "RSA") {
    key.algorithm = "RS256";
    first = "n";
    second = "e";
  } else if (type == "EC" && curve == "P-256") {
    key.algorithm = "ES256";
  } else if (type == "OKP" && curve == "Ed25519") {
    key.algorithm = "EdDSA";
    second = nullptr;
  } else {
    return std::nullopt;
  }
  if (jwk.contains("alg") && MemberOf(jwk, "alg") != key.algorithm) return std::nullopt;
  const auto a = Base64UrlDecode(MemberOf(jwk, first));
  const auto b = second != nullptr ? Base64UrlDecode(MemberOf(jwk, second)) : std::optional<std::string>("");
  if (!a || !b) return std::nullopt;
  key.first = *a;
  key.second = *b;
  return key;
}

absl::StatusOr<KeySet> KeySet::Parse(const std::string& text) {
  const json document = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object() || !document.contains("keys") || !document["keys"].is_array()) return Bad("no key set");
  KeySet set;
  for (const json& jwk : document["keys"]) {
    if (auto key = ReadKey(jwk); key && set.keys_.size() < kMostKeys) set.keys_.push_back(*std::move(key));
  }
  return set;
}

absl::Status KeySet::Verify(const std::string& algorithm, const std::string& key_id, std::string_view text,
                            const std::string& signature) const {
  const Key* found = nullptr;
  for (const Key& key : keys_) {
    if (key.algorithm != algorithm || (!key_id.empty() && key.id != key_id)) continue;
    if (found != nullptr) return Bad("several keys fit");
    found = &key;
  }
  if (found == nullptr) return absl::NotFoundError("the key is unknown");
  const bool holds = algorithm == "RS256"   ? RsaHolds(found->first, found->second, text, signature)
                     : algorithm == "ES256" ? EcdsaHolds(found->first, found->second, text, signature)
                                            : Ed25519Holds(found->first, text, signature);
  return holds ? absl::OkStatus() : Bad("the signature does not hold");
}

absl::StatusOr<IdTokenClaims> VerifyIdToken(const std::string& token, const KeySet& keys, const IdTokenRules& rules) {
  if (token.size() > kMostTokenBytes) return Bad("too long");
  const auto first = token.find('.'), last = token.rfind('.');
  if (first == std::string::npos || first == last || token.find('.', first + 1) != last) return Bad("not three parts");
  const std::string_view text = std::string_view(token).substr(0, last);
  const auto header = ReadPart(text.substr(0, first)), claims = ReadPart(text.substr(first + 1));
  const auto signature = Base64UrlDecode(std::string_view(token).substr(last + 1));
  if (!header || !claims || !signature) return Bad("malformed");
  const std::string algorithm = MemberOf(*header, "alg");
  if (algorithm != "RS256" && algorithm != "ES256" && algorithm != "EdDSA") return Bad("alg is not allowed");
  if (header->contains("crit")) return Bad("crit is not understood");
  if (const absl::Status status = keys.Verify(algorithm, MemberOf(*header, "kid"), text, *signature); !status.ok())
    return status;
  return CheckClaims(*claims, rules);
}

}  // namespace pepeunit::graph_registry
