#pragma once

#include <string>

#include "guarded_stream.h"
#include "pepeunit/ssh/remote_address.h"

namespace pepeunit::repo_sync {

// A remote over SSH, and what opens it: a private key (OpenSSH or PEM, with its passphrase if it has one) or a
// password.
struct SshRemote {
  ssh::RemoteAddress address;
  std::string password, private_key, passphrase;
  std::string pinned;      // fingerprint of the host key that it must have; empty: the first that it shows is trusted
  std::string host_key{};  // fingerprint of the one that it showed; empty: the connection did not come so far
};

// Lets libgit2 read this one remote over SSH in this process, by libssh: the libssh2 inside libgit2 signs with RSA keys
// only in a way that servers refuse today, and connects by itself, past the guard. No configuration, agent or file of
// the user is read. Both must outlive all connections; what goes wrong is `guard->problem`.
void InstallSsh(SshRemote* remote, ConnectionGuard* guard);

}  // namespace pepeunit::repo_sync
