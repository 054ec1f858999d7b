#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace pepeunit::ssh {

// Where a git remote is.
struct RemoteAddress {
  enum class Scheme { kHttps, kHttp, kSsh };
  Scheme scheme = Scheme::kHttps;
  std::string user;  // SSH only, and never empty there
  std::string host;  // an IPv6 address without its brackets
  std::string port;  // as it is said, else that of the scheme
  // SSH: as the remote's git-upload-pack gets it. `ssh://u@h/a` is /a, `ssh://u@h/~v/a` is ~v/a, `u@h:a` is a, which
  // lies in the user's home.
  std::string path;
};

// Of `https://host[:port]/path`, `http://...`, `ssh://user@host[:port]/path` or, as scp writes it, `user@host:path`.
// INVALID_ARGUMENT says what is wrong, as half a sentence after the field's name. An address is shown to everyone, so a
// password in it is refused.
absl::StatusOr<RemoteAddress> ParseRemoteAddress(const std::string& url);

inline bool IsSsh(const RemoteAddress& address) { return address.scheme == RemoteAddress::Scheme::kSsh; }

}  // namespace pepeunit::ssh
