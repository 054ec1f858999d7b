#pragma once

#include <string>
#include <string_view>

#include "secret.h"

// Ed25519 (RFC 8032). Pure and thread-safe.
namespace pepeunit::crypto {

// `seed`: the 32 bytes of the private key. 32 bytes.
std::string Ed25519PublicKey(const Secret& seed);
// 64 bytes.
std::string Ed25519Sign(const Secret& seed, std::string_view public_key, std::string_view message);
// False for signatures and keys of another length too. Refuses a scalar that is not reduced (RFC 8032 5.1.7), so that
// a signature cannot be turned into a second one for the same message.
bool Ed25519Verify(std::string_view public_key, std::string_view message, std::string_view signature);

}  // namespace pepeunit::crypto
