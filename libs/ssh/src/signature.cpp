#include "pepeunit/ssh/signature.h"

#include <cryptopp/donna.h>
#include <cryptopp/eccrypto.h>
#include <cryptopp/oids.h>
#include <cryptopp/osrng.h>
#include <cryptopp/rsa.h>
#include <cryptopp/sha.h>

#include <algorithm>
#include <optional>

#include "key_parts.h"
#include "pepeunit/base/bytes.h"
#include "wire.h"

namespace pepeunit::ssh {
namespace {

constexpr std::string_view kMagic = "SSHSIG";
constexpr std::string_view kEnd = "-----END SSH SIGNATURE-----";
constexpr std::string_view kCurvePrefix = "ecdsa-sha2-";
constexpr std::size_t kMostArmored = 16'384;
constexpr std::size_t kLeastRsaBits = 2048, kMostRsaBits = 16'384;

const CryptoPP::byte* Raw(std::string_view text) { return reinterpret_cast<const CryptoPP::byte*>(text.data()); }
CryptoPP::Integer NumberOf(std::string_view bytes) { return {Raw(bytes), bytes.size()}; }

struct Curve {
  std::string_view name;
  std::size_t bytes;  // of a coordinate
  CryptoPP::OID oid;
};
const Curve* FindCurve(std::string_view type) {
  static const Curve curves[] = {{"nistp256", 32, CryptoPP::ASN1::secp256r1()},
                                 {"nistp384", 48, CryptoPP::ASN1::secp384r1()},
                                 {"nistp521", 66, CryptoPP::ASN1::secp521r1()}};
  if (!type.starts_with(kCurvePrefix)) return nullptr;
  const auto* found = std::find_if(std::begin(curves), std::end(curves),
                                   [&](const Curve& c) { return c.name == type.substr(kCurvePrefix.size()); });
  return found == std::end(curves) ? nullptr : found;
}

template <typename Hash>
std::string Digest(std::string_view message) {
  std::string digest(Hash::DIGESTSIZE, '\0');
  Hash().CalculateDigest(reinterpret_cast<CryptoPP::byte*>(digest.data()), Raw(message), message.size());
  return digest;
}

template <typename Hash>
bool RsaHolds(const KeyParts& key, std::string_view text, std::string_view signature) {
  const CryptoPP::Integer n = NumberOf(key.modulus), e = NumberOf(key.exponent);
  if (n.IsEven() || e.IsEven() || e < 3 || e.BitCount() > 64) return false;
  const typename CryptoPP::RSASS<CryptoPP::PKCS1v15, Hash>::Verifier verifier(n, e);
  if (signature.size() > verifier.SignatureLength()) return false;
  // Some signers leave out leading zeros.
  std::string padded(verifier.SignatureLength() - signature.size(), '\0');
  padded.append(signature);
  return verifier.VerifyMessage(Raw(text), text.size(), Raw(padded), padded.size());
}

template <typename Hash>
bool EcdsaHolds(const Curve& curve, std::string_view point, std::string_view text, std::string_view signature) {
  WireReader reader(signature);
  const auto r = reader.Positive(), s = reader.Positive();
  if (!r || !s || !reader.done() || r->size() > curve.bytes || s->size() > curve.bytes) return false;
  std::string both(2 * curve.bytes, '\0');
  r->copy(both.data() + curve.bytes - r->size(), r->size());
  s->copy(both.data() + 2 * curve.bytes - s->size(), s->size());
  typename CryptoPP::ECDSA<CryptoPP::ECP, Hash>::PublicKey key;
  key.Initialize(curve.oid, CryptoPP::ECP::Point(NumberOf(point.substr(1, curve.bytes)),
                                                 NumberOf(point.substr(1 + curve.bytes, curve.bytes))));
  CryptoPP::AutoSeededRandomPool random;
  if (!key.Validate(random, 3)) return false;  // a point of the curve
  const typename CryptoPP::ECDSA<CryptoPP::ECP, Hash>::Verifier verifier(key);
  return verifier.VerifyMessage(Raw(text), text.size(), Raw(both), both.size());
}

// `signature`: its algorithm, and what that makes of it.
bool Holds(const KeyParts& key, std::string_view text, std::string_view signature) {
  WireReader reader(signature);
  const auto algorithm = reader.String(), value = reader.String();
  if (!algorithm || !value || !reader.done()) return false;
  if (key.type == "ssh-rsa") {
    if (*algorithm == "rsa-sha2-512") return RsaHolds<CryptoPP::SHA512>(key, text, *value);
    return *algorithm == "rsa-sha2-256" && RsaHolds<CryptoPP::SHA256>(key, text, *value);
  }
  if (*algorithm != key.type) return false;
  if (const Curve* curve = FindCurve(key.type)) {
    if (curve->bytes == 32) return EcdsaHolds<CryptoPP::SHA256>(*curve, key.point, text, *value);
    if (curve->bytes == 48) return EcdsaHolds<CryptoPP::SHA384>(*curve, key.point, text, *value);
    return EcdsaHolds<CryptoPP::SHA512>(*curve, key.point, text, *value);
  }
  return value->size() == 64 &&
         CryptoPP::Donna::ed25519_sign_open(Raw(text), text.size(), Raw(key.point), Raw(*value)) == 0;
}

// What is between the armor's first and last line, out of its base64.
std::optional<std::string> Unarmor(std::string_view armored) {
  if (armored.size() > kMostArmored || !armored.starts_with(kSignatureBegin)) return std::nullopt;
  armored.remove_prefix(sizeof kSignatureBegin - 1);
  const std::size_t end = armored.find(kEnd);
  if (end == armored.npos || armored.find_first_not_of("\r\n", end + kEnd.size()) != armored.npos) return std::nullopt;
  std::string text(armored.substr(0, end));
  std::erase_if(text, [](char c) { return c == '\n' || c == '\r'; });
  return Base64Decode(text);
}

// PROTOCOL.sshsig, sections 2 and 3.
struct Blob {
  std::string_view key, name_space, reserved, hash, signature;
};
std::optional<Blob> ReadBlob(std::string_view bytes) {
  WireReader reader(bytes);
  const auto magic = reader.Bytes(kMagic.size());
  const auto version = reader.Number();
  const auto key = reader.String(), name_space = reader.String(), reserved = reader.String(), hash = reader.String(),
             signature = reader.String();
  if (magic != kMagic || version != 1u || !key || !name_space || !reserved || !hash || !signature || !reader.done())
    return std::nullopt;
  return Blob{*key, *name_space, *reserved, *hash, *signature};
}

}  // namespace

bool IsKeyType(std::string_view type) {
  return type == "ssh-ed25519" || type == "ssh-rsa" || FindCurve(type) != nullptr;
}

std::optional<KeyParts> ReadKey(std::string_view blob) {
  WireReader reader(blob);
  const auto type = reader.String();
  if (!type || !IsKeyType(*type)) return std::nullopt;
  KeyParts parts;
  parts.type = *type;
  if (*type == "ssh-rsa") {
    const auto exponent = reader.Positive(), modulus = reader.Positive();
    if (!exponent || !modulus || !reader.done()) return std::nullopt;
    parts.exponent = *exponent;
    parts.modulus = *modulus;
    const std::size_t bits = NumberOf(*modulus).BitCount();
    parts.strong = bits >= kLeastRsaBits && bits <= kMostRsaBits;
    return parts;
  }
  const Curve* curve = FindCurve(*type);
  if (curve != nullptr && reader.String() != curve->name) return std::nullopt;
  const auto point = reader.String();
  const std::size_t size = curve == nullptr ? 32 : 1 + 2 * curve->bytes;
  if (!point || point->size() != size || !reader.done()) return std::nullopt;
  if (curve != nullptr && point->front() != 4) return std::nullopt;
  parts.point = *point;
  return parts;
}

SignatureCheck CheckSignature(std::string_view armored, std::string_view message, std::string_view name_space,
                              const std::vector<PublicKey>& allowed) {
  const auto refused = [](std::string problem) {
    return SignatureCheck{.signed_by = {}, .problem = std::move(problem)};
  };
  const auto bytes = Unarmor(armored);
  const auto blob = bytes ? ReadBlob(*bytes) : std::nullopt;
  if (!blob) return refused("has a signature that cannot be read");
  const std::string fingerprint = FingerprintOf(blob->key);
  const auto listed =
      std::find_if(allowed.begin(), allowed.end(), [&](const PublicKey& key) { return key.blob == blob->key; });
  if (listed == allowed.end()) return refused("is signed by a key that is not listed, " + fingerprint);
  if (blob->name_space != name_space) return refused("has a signature that was made for something else than git");
  const std::string digest = blob->hash == "sha512"   ? Digest<CryptoPP::SHA512>(message)
                             : blob->hash == "sha256" ? Digest<CryptoPP::SHA256>(message)
                                                      : "";
  const auto key = ReadKey(listed->blob);
  if (digest.empty() || !key || !key->strong) return refused("has a signature that cannot be read");
  const std::string text = std::string(kMagic) + WireString(blob->name_space) + WireString(blob->reserved) +
                           WireString(blob->hash) + WireString(digest);
  if (!Holds(*key, text, blob->signature))
    return refused("has a broken signature: it was changed after it was signed by " + fingerprint);
  return {.signed_by = fingerprint, .problem = {}};
}

}  // namespace pepeunit::ssh
