#pragma once

#include <cryptopp/secblock.h>

#include <string>
#include <string_view>

namespace pepeunit::crypto {

// Bytes that are wiped when they are given back.
using Secret = CryptoPP::SecByteBlock;

inline Secret MakeSecret(std::string_view bytes) {
  return {reinterpret_cast<const CryptoPP::byte*>(bytes.data()), bytes.size()};
}

// Wipes a string that held a secret.
inline void Wipe(std::string& text) {
  CryptoPP::SecureWipeArray(reinterpret_cast<CryptoPP::byte*>(text.data()), text.size());
  text.clear();
}

inline std::string_view View(const Secret& secret) {
  return {reinterpret_cast<const char*>(secret.data()), secret.size()};
}

}  // namespace pepeunit::crypto
