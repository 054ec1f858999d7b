#include "pepeunit/base/personal_token.h"

#include <cstdint>

#include "pepeunit/base/bytes.h"

namespace pepeunit {
namespace {

constexpr std::size_t kSecretBytes = 32, kSecretCharacters = 43, kSumCharacters = 6;

// CRC-32/ISO-HDLC, bit by bit: it is computed once for a token.
std::uint32_t Crc32(std::string_view text) {
  std::uint32_t crc = 0xFFFFFFFF;
  for (const char c : text) {
    crc ^= static_cast<std::uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xEDB88320 : 0);
  }
  return ~crc;
}

std::string SumOf(std::string_view text) {
  const std::uint32_t crc = Crc32(text);
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(crc >> shift & 0xFF);
  return Base64UrlEncode(AsBytes(bytes));
}

}  // namespace

std::string NewSecretText(std::string_view prefix) {
  const std::string text = std::string(prefix) + Base64UrlEncode(AsBytes(RandomBytes(kSecretBytes)));
  return text + SumOf(text);
}

bool IsSecretText(std::string_view prefix, std::string_view text) {
  if (text.size() != prefix.size() + kSecretCharacters + kSumCharacters) return false;
  if (!text.starts_with(prefix)) return false;
  const std::string_view secret = text.substr(prefix.size(), kSecretCharacters);
  const std::string_view body = text.substr(0, text.size() - kSumCharacters);
  return Base64UrlDecode(secret).has_value() && text.substr(body.size()) == SumOf(body);
}

}  // namespace pepeunit
