#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

// ID tokens of OpenID Connect Core 1.0 as strictly as its section 3.1.3.7 asks, and stricter: only the algorithms RS256
// (RFC 7518), ES256 and EdDSA with Ed25519 (RFC 8037). Pure functions. Messages of errors are for the log; they hold
// nothing of the token.
namespace pepeunit::graph_registry {

// Public keys of a provider (RFC 7517). Keys that are of no use here are left out.
class KeySet {
 public:
  static absl::StatusOr<KeySet> Parse(const std::string& json);

  // Whether `signature` over `text` was made with a key of this algorithm and id; an empty id tries the only one of
  // the algorithm. NOT_FOUND when there is no such key.
  absl::Status Verify(const std::string& algorithm, const std::string& key_id, std::string_view text,
                      const std::string& signature) const;

 private:
  struct Key {
    std::string algorithm, id;
    std::string first, second;  // RSA: modulus, exponent; EC: x, y; Ed25519: the key
  };
  static std::optional<Key> ReadKey(const nlohmann::json& jwk);

  std::vector<Key> keys_;
};

struct IdTokenRules {
  std::string issuer, client_id, nonce;
  std::int64_t now_s = 0;
};

struct IdTokenClaims {
  std::string subject;
  std::string preferred_username;  // may be empty
};

// NOT_FOUND when the key is unknown (it may be new), INVALID_ARGUMENT for all else.
absl::StatusOr<IdTokenClaims> VerifyIdToken(const std::string& token, const KeySet& keys, const IdTokenRules& rules);

}  // namespace pepeunit::graph_registry
