#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace pepeunit::ssh {

// A public key of a kind whose signatures can be checked.
struct PublicKey {
  std::string type;     // `ssh-ed25519`
  std::string blob;     // as it goes over the wire: RFC 4253, section 6.6
  std::string comment;  // may be empty
};

// A line of authorized_keys or of a .pub file, without options: `ssh-ed25519 AAAA... comment`. INVALID_ARGUMENT says
// what is wrong, as half a sentence.
absl::StatusOr<PublicKey> ParsePublicKey(std::string_view line);
std::string LineOf(const PublicKey& key);

// `SHA256:` and 43 characters of base64 without padding, as ssh-keygen -l prints it.
std::string FingerprintOf(std::string_view blob);
bool IsFingerprint(std::string_view text);

}  // namespace pepeunit::ssh
