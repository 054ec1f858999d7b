#include "pepeunit/base/uuid.h"

#include "pepeunit/base/bytes.h"
#include "pepeunit/base/clock.h"

namespace pepeunit {

Uuid Uuid::New() {
  Uuid id = *FromBytes(RandomBytes(16));
  const auto ms = static_cast<std::uint64_t>(NowMs());
  for (int i = 0; i < 6; ++i) id.bytes[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(ms >> (40 - 8 * i));
  id.bytes[6] = static_cast<std::uint8_t>(0x70 | (id.bytes[6] & 0x0F));
  id.bytes[8] = static_cast<std::uint8_t>(0x80 | (id.bytes[8] & 0x3F));
  return id;
}

std::optional<Uuid> Uuid::Parse(std::string_view text) {
  if (text.size() != 36) return std::nullopt;
  std::string digits;
  digits.reserve(32);
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash != (text[i] == '-')) return std::nullopt;
    if (!dash) digits += text[i];
  }
  const auto raw = HexDecode(digits);
  return raw ? FromBytes(*raw) : std::nullopt;
}

std::optional<Uuid> Uuid::FromBytes(std::string_view raw) {
  if (raw.size() != 16) return std::nullopt;
  Uuid id;
  std::memcpy(id.bytes.data(), raw.data(), 16);
  return id;
}

std::string Uuid::ToString() const {
  const std::string hex = HexEncode(bytes);
  return hex.substr(0, 8) + '-' + hex.substr(8, 4) + '-' + hex.substr(12, 4) + '-' + hex.substr(16, 4) + '-' +
         hex.substr(20);
}

std::uint32_t PartitionOf(const Uuid& unit, std::uint32_t count) {
  std::uint64_t hash = 0xCBF29CE484222325ULL;
  for (std::uint8_t b : unit.bytes) hash = (hash ^ b) * 0x100000001B3ULL;
  return static_cast<std::uint32_t>(hash % (count == 0 ? 1 : count));
}

}  // namespace pepeunit
