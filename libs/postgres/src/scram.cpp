#include "pepeunit/postgres/scram.h"

#include <cryptopp/hmac.h>
#include <cryptopp/pwdbased.h>
#include <cryptopp/sha.h>

#include <array>

namespace pepeunit::postgres {
namespace {

using Digest = std::array<std::uint8_t, 32>;

Digest Hmac(const Digest& key, std::string_view text) {
  CryptoPP::HMAC<CryptoPP::SHA256> hmac(key.data(), key.size());
  const ByteView bytes = AsBytes(text);
  hmac.Update(bytes.data(), bytes.size());
  Digest out;
  hmac.Final(out.data());
  return out;
}

}  // namespace

std::string ScramVerifier(const std::string& password, ByteView salt, int iterations) {
  Digest salted;
  const ByteView bytes = AsBytes(password);
  CryptoPP::PKCS5_PBKDF2_HMAC<CryptoPP::SHA256>().DeriveKey(salted.data(), salted.size(), 0, bytes.data(), bytes.size(),
                                                            salt.data(), salt.size(),
                                                            static_cast<unsigned>(iterations));
  const Digest client = Hmac(salted, "Client Key"), server = Hmac(salted, "Server Key");
  return "SCRAM-SHA-256$" + std::to_string(iterations) + ':' + Base64Encode(salt) + '$' +
         Base64Encode(AsBytes(Sha256(ByteView(client)))) + ':' + Base64Encode(ByteView(server));
}

}  // namespace pepeunit::postgres
