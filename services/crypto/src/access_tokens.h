#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "key_ring.h"
#include "pepeunit/base/clock.h"
#include "pepeunit/base/uuid.h"

namespace pepeunit::crypto {

// Signs the access tokens of users: JWTs with Ed25519 (RFC 7519, RFC 8037), which anybody with the public keys can
// verify. Thread-safe.
class AccessTokens {
 public:
  static constexpr int kMaxLifetime = 3600;  // seconds

  struct Issued {
    std::string token;
    std::int64_t expires_at_s = 0;
  };
  struct VerificationKey {
    std::string id;       // `kid`
    std::string ed25519;  // 32 bytes
  };

  // `keys` outlives it. `now_ms` stands in for the clock in tests.
  explicit AccessTokens(KeyRing& keys, std::function<std::int64_t()> now_ms = NowMs)
      : keys_(keys), now_ms_(std::move(now_ms)) {}

  absl::StatusOr<Issued> Issue(const Uuid& user, const Uuid& session, bool administrator, int lifetime_s);
  // Newest first.
  std::vector<VerificationKey> VerificationKeys();

 private:
  KeyRing& keys_;
  std::function<std::int64_t()> now_ms_;
};

}  // namespace pepeunit::crypto
