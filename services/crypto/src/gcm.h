#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "secret.h"

// AES-256-GCM (NIST SP 800-38D) with random 96-bit nonces and 128-bit tags. Pure and thread-safe.
namespace pepeunit::crypto {

inline constexpr std::size_t kKeyBytes = 32;
inline constexpr std::size_t kNonceBytes = 12;
inline constexpr std::size_t kTagBytes = 16;
inline constexpr std::size_t kGcmOverhead = kNonceBytes + kTagBytes;

// nonce || ciphertext || tag. `key` has 32 bytes.
std::string GcmSeal(const Secret& key, std::string_view associated, std::string_view plaintext);
// nullopt unless `sealed` was made with this key and this associated data.
std::optional<std::string> GcmOpen(const Secret& key, std::string_view associated, std::string_view sealed);

// Appends `text` with its length in front (two bytes, big-endian), so that two fields put together have one reading.
// `text` has at most 65,535 bytes.
void AppendPrefixed(std::string& out, std::string_view text);
// Appends `value`, big-endian.
void AppendU32(std::string& out, std::uint32_t value);

}  // namespace pepeunit::crypto
