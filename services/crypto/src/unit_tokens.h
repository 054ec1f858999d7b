#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "key_ring.h"
#include "pepeunit/base/clock.h"
#include "pepeunit/base/uuid.h"

namespace pepeunit::crypto {

// Makes and opens the tokens of devices (U4). Thread-safe.
//
// A token has three base64url parts: header {"alg":"EdDSA","enc":"A256GCM","kid":"<signing key>.<encryption key>",
// "typ":"pepeunit-unit"}; nonce, AES-256-GCM ciphertext and tag of the claims {"gen","iat","sub"} with the encoded
// header as associated data; Ed25519 signature over "header.middle". It does not expire: its generation does, which
// the caller compares with the unit's current one.
class UnitTokens {
 public:
  static constexpr std::size_t kMaxToken = 1024;

  struct Opened {
    Uuid unit;
    std::uint32_t generation = 0;
  };

  // `keys` outlives it. `now_ms` stands in for the clock in tests.
  explicit UnitTokens(KeyRing& keys, std::function<std::int64_t()> now_ms = NowMs)
      : keys_(keys), now_ms_(std::move(now_ms)) {}

  absl::StatusOr<std::string> Issue(const Uuid& unit, std::uint32_t generation);
  // UNAUTHENTICATED if it was not issued here, whatever the reason.
  absl::StatusOr<Opened> Open(std::string_view token);

 private:
  KeyRing& keys_;
  std::function<std::int64_t()> now_ms_;
};

}  // namespace pepeunit::crypto
