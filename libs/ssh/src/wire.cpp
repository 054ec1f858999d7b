#include "wire.h"

namespace pepeunit::ssh {

std::optional<std::string_view> WireReader::Bytes(std::size_t count) {
  if (rest_.size() < count) return std::nullopt;
  const std::string_view bytes = rest_.substr(0, count);
  rest_.remove_prefix(count);
  return bytes;
}

std::optional<std::uint32_t> WireReader::Number() {
  const auto bytes = Bytes(4);
  if (!bytes) return std::nullopt;
  std::uint32_t number = 0;
  for (const char c : *bytes) number = number << 8 | static_cast<unsigned char>(c);
  return number;
}

std::optional<std::string_view> WireReader::String() {
  const auto size = Number();
  return size ? Bytes(*size) : std::nullopt;
}

std::optional<std::string_view> WireReader::Positive() {
  auto bytes = String();
  if (!bytes || bytes->empty() || (static_cast<unsigned char>(bytes->front()) & 0x80) != 0) return std::nullopt;
  if (bytes->front() == 0) bytes->remove_prefix(1);
  // Only the shortest form, so that a number is written in one way.
  if (bytes->empty() || bytes->front() == 0) return std::nullopt;
  return bytes;
}

std::string WireString(std::string_view bytes) {
  const auto size = static_cast<std::uint32_t>(bytes.size());
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(size >> shift & 0xFF);
  return out.append(bytes);
}

}  // namespace pepeunit::ssh
