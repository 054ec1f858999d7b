#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "key_ring.h"

namespace pepeunit::crypto {

// Encrypts fields for databases. Thread-safe.
//
// Format: version 1 (1 byte), id of the data key (4, big-endian), nonce (12), AES-256-GCM ciphertext, tag (16).
// Associated data: version, key id, length of the context (2, big-endian), context. So a ciphertext opens only for
// the field and row that it was made for.
class Sealer {
 public:
  static constexpr std::size_t kMaxPlaintext = 1'048'576;
  static constexpr std::size_t kMaxContext = 256;
  static constexpr std::size_t kOverhead = 1 + 4 + 12 + 16;

  // `keys` outlives the sealer.
  explicit Sealer(KeyRing& keys) : keys_(keys) {}

  absl::StatusOr<std::string> Seal(std::string_view plaintext, std::string_view context);
  // INVALID_ARGUMENT if `sealed` is not what Seal made for this context.
  absl::StatusOr<std::string> Open(std::string_view sealed, std::string_view context);

 private:
  KeyRing& keys_;
};

}  // namespace pepeunit::crypto
