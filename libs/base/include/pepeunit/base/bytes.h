#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

// Text forms of bytes, randomness and comparison. All functions are thread-safe and keep no state.
namespace pepeunit {

using ByteView = std::span<const std::uint8_t>;

// Views the characters of `text` as bytes; valid as long as `text` is.
inline ByteView AsBytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
inline std::string_view AsText(ByteView bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

std::string HexEncode(ByteView bytes);                        // lower case
std::optional<std::string> HexDecode(std::string_view text);  // either case; nullopt on anything else

std::string Base64Encode(ByteView bytes);                        // RFC 4648 section 4, padded
std::optional<std::string> Base64Decode(std::string_view text);  // strict: padded, no white space

std::string Base64UrlEncode(ByteView bytes);                        // RFC 4648 section 5, without padding
std::optional<std::string> Base64UrlDecode(std::string_view text);  // strict: no padding

// Cryptographically secure bytes from the operating system.
std::string RandomBytes(std::size_t count);

std::string Sha256(ByteView bytes);  // 32 bytes

// Compares in time that depends on the lengths only.
bool ConstantTimeEqual(ByteView a, ByteView b);

}  // namespace pepeunit
