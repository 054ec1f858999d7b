#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// The wire format of SSH (RFC 4251, section 5).
namespace pepeunit::ssh {

// Takes values from the front of bytes that strangers wrote; nullopt at the first that is not there as a whole.
class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : rest_(bytes) {}
  std::optional<std::string_view> Bytes(std::size_t count);
  std::optional<std::uint32_t> Number();
  std::optional<std::string_view> String();
  // A positive integer without its sign byte and leading zeros.
  std::optional<std::string_view> Positive();
  bool done() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

std::string WireString(std::string_view bytes);

}  // namespace pepeunit::ssh
