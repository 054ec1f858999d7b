#include "ed25519.h"

#include <cryptopp/donna.h>

#include <cstdint>

namespace pepeunit::crypto {
namespace {

constexpr std::size_t kPublicKeyBytes = 32;
constexpr std::size_t kSignatureBytes = 64;

const CryptoPP::byte* Bytes(std::string_view text) { return reinterpret_cast<const CryptoPP::byte*>(text.data()); }
CryptoPP::byte* Bytes(std::string& text) { return reinterpret_cast<CryptoPP::byte*>(text.data()); }

// Whether the second half of the signature (little-endian) is below the order of the group; Crypto++ does not look.
bool HasReducedScalar(std::string_view signature) {
  static constexpr std::uint8_t kOrder[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7,
                                              0xa2, 0xde, 0xf9, 0xde, 0x14, 0,    0,    0,    0,    0,    0,
                                              0,    0,    0,    0,    0,    0,    0,    0,    0,    0x10};
  for (std::size_t i = sizeof kOrder; i-- > 0;) {
    const auto byte = static_cast<std::uint8_t>(signature[32 + i]);
    if (byte != kOrder[i]) return byte < kOrder[i];
  }
  return false;
}

}  // namespace

std::string Ed25519PublicKey(const Secret& seed) {
  std::string key(kPublicKeyBytes, '\0');
  CryptoPP::Donna::ed25519_publickey(Bytes(key), seed.data());
  return key;
}

std::string Ed25519Sign(const Secret& seed, std::string_view public_key, std::string_view message) {
  std::string signature(kSignatureBytes, '\0');
  CryptoPP::Donna::ed25519_sign(Bytes(message), message.size(), seed.data(), Bytes(public_key), Bytes(signature));
  return signature;
}

bool Ed25519Verify(std::string_view public_key, std::string_view message, std::string_view signature) {
  if (public_key.size() != kPublicKeyBytes || signature.size() != kSignatureBytes) return false;
  if (!HasReducedScalar(signature)) return false;
  return CryptoPP::Donna::ed25519_sign_open(Bytes(message), message.size(), Bytes(public_key), Bytes(signature)) == 0;
}

}  // namespace pepeunit::crypto
