#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "pepeunit/rpc/caller.h"

namespace pepeunit::gateway {

// Public keys of access tokens: `kid` to the raw 32 bytes of an Ed25519 key.
using VerificationKeys = std::map<std::string, std::string>;

// Checks access tokens (JWT, RFC 7519; Ed25519, RFC 8037) as strictly as crypto makes them. Pure functions.

// The `kid` of the header; nullopt unless the token has three parts, is at most 2048 bytes and its header says EdDSA:
// "none" and every other algorithm end here, before a key is looked at.
std::optional<std::string> KeyIdOf(std::string_view token);

// The user of the token. UNAUTHENTICATED if it is malformed, signed by none of `keys`, or past its time.
absl::StatusOr<rpc::Caller> VerifyAccessToken(std::string_view token, const VerificationKeys& keys, std::int64_t now_s);

}  // namespace pepeunit::gateway
