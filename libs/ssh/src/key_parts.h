#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace pepeunit::ssh {

// What a public key is made of. Views into the blob that it was read from.
struct KeyParts {
  std::string_view type;
  std::string_view point;              // Ed25519: 32 bytes; ECDSA: X9.62, uncompressed
  std::string_view exponent, modulus;  // RSA, without signs
  bool strong = true;                  // false: RSA of other than 2048 to 16384 bits
};

bool IsKeyType(std::string_view type);
// nullopt: not a whole key of a kind that is known, or more than one.
std::optional<KeyParts> ReadKey(std::string_view blob);

}  // namespace pepeunit::ssh
