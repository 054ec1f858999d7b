#include "gcm.h"

#include <cryptopp/aes.h>
#include <cryptopp/gcm.h>

#include "pepeunit/base/bytes.h"

namespace pepeunit::crypto {
namespace {

const CryptoPP::byte* In(std::string_view text) { return reinterpret_cast<const CryptoPP::byte*>(text.data()); }
CryptoPP::byte* Out(std::string& text, std::size_t offset) {
  return reinterpret_cast<CryptoPP::byte*>(text.data() + offset);
}

}  // namespace

std::string GcmSeal(const Secret& key, std::string_view associated, std::string_view plaintext) {
  std::string sealed = RandomBytes(kNonceBytes);
  sealed.resize(kGcmOverhead + plaintext.size());
  CryptoPP::GCM<CryptoPP::AES>::Encryption gcm;
  gcm.SetKeyWithIV(key.data(), key.size(), In(sealed), kNonceBytes);
  gcm.EncryptAndAuthenticate(Out(sealed, kNonceBytes), Out(sealed, kNonceBytes + plaintext.size()), kTagBytes,
                             In(sealed), kNonceBytes, In(associated), associated.size(), In(plaintext),
                             plaintext.size());
  return sealed;
}

std::optional<std::string> GcmOpen(const Secret& key, std::string_view associated, std::string_view sealed) {
  if (sealed.size() < kGcmOverhead) return std::nullopt;
  const std::size_t length = sealed.size() - kGcmOverhead;
  std::string plaintext(length, '\0');
  CryptoPP::GCM<CryptoPP::AES>::Decryption gcm;
  gcm.SetKeyWithIV(key.data(), key.size(), In(sealed), kNonceBytes);
  const bool genuine =
      gcm.DecryptAndVerify(Out(plaintext, 0), In(sealed.substr(kNonceBytes + length)), kTagBytes, In(sealed),
                           kNonceBytes, In(associated), associated.size(), In(sealed.substr(kNonceBytes)), length);
  if (genuine) return plaintext;
  Wipe(plaintext);
  return std::nullopt;
}

void AppendPrefixed(std::string& out, std::string_view text) {
  out += static_cast<char>(text.size() >> 8 & 0xFF);
  out += static_cast<char>(text.size() & 0xFF);
  out += text;
}

void AppendU32(std::string& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 0xFF);
}

}  // namespace pepeunit::crypto
