#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace pepeunit {

// The identity of a node, link, session or instance (RFC 9562).
struct Uuid {
  std::array<std::uint8_t, 16> bytes{};

  // Version 7: begins with the time in ms, so that rows made later lie later in an index.
  static Uuid New();
  // The canonical 36 characters, either case; nullopt on anything else.
  static std::optional<Uuid> Parse(std::string_view text);
  // Exactly 16 bytes, as Protobuf fields carry it; nullopt on any other length.
  static std::optional<Uuid> FromBytes(std::string_view raw);

  std::string ToString() const;  // canonical, lower case
  std::string ToBytes() const { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
  bool IsNil() const { return *this == Uuid{}; }

  auto operator<=>(const Uuid&) const = default;

  template <typename H>
  friend H AbslHashValue(H h, const Uuid& id) {
    return H::combine(std::move(h), id.bytes);
  }
};

// FNV-1a (64 bits) of the unit's bytes modulo `count`: which partition of the stream VALUES a unit's messages take.
std::uint32_t PartitionOf(const Uuid& unit, std::uint32_t count);

}  // namespace pepeunit

template <>
struct std::hash<pepeunit::Uuid> {
  std::size_t operator()(const pepeunit::Uuid& id) const noexcept {
    std::uint64_t head = 0, tail = 0;
    std::memcpy(&head, id.bytes.data(), 8);
    std::memcpy(&tail, id.bytes.data() + 8, 8);
    return static_cast<std::size_t>((head ^ (tail * 0x9E3779B97F4A7C15ULL)) * 0xD6E8FEB86659FD93ULL);
  }
};
