#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "secret.h"

namespace pepeunit::crypto {

// The one key that is not stored: it wraps the data keys. Separate keys for wrapping and for the fingerprint are
// derived from it (HKDF-SHA256, RFC 5869). Immutable; thread-safe.
class MasterKey {
 public:
  // Standard base64 of 32 bytes. `text` is wiped. INVALID_ARGUMENT says what is wrong, without the key.
  static absl::StatusOr<MasterKey> FromBase64(std::string& text);

  // Bound to the data key's id and purpose: a wrapped key that is moved to another row does not unwrap.
  std::string Wrap(std::uint32_t id, std::string_view purpose, const Secret& key) const;
  std::optional<Secret> Unwrap(std::uint32_t id, std::string_view purpose, std::string_view wrapped) const;

  // 16 hex digits that tell master keys apart and tell nothing about them.
  const std::string& fingerprint() const { return fingerprint_; }

 private:
  MasterKey() = default;

  Secret wrapping_;
  std::string fingerprint_;
};

}  // namespace pepeunit::crypto
