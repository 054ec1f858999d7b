#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "pepeunit/ssh/public_key.h"

namespace pepeunit::ssh {

inline constexpr char kSignatureBegin[] = "-----BEGIN SSH SIGNATURE-----";
inline constexpr char kGitNamespace[] = "git";

struct SignatureCheck {
  std::string signed_by;  // fingerprint of the listed key whose signature holds; else empty
  std::string problem;    // else why not, as half a sentence: `is signed by another key, SHA256:...`
};

// Checks an armored SSH signature of `message` against the keys that may sign in this namespace. What does not hold for
// any reason is told, never an error.
SignatureCheck CheckSignature(std::string_view armored, std::string_view message, std::string_view name_space,
                              const std::vector<PublicKey>& allowed);

}  // namespace pepeunit::ssh
