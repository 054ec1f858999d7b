#pragma once

#include <cstdint>
#include <string>

namespace pepeunit::repo_sync {

// The TCP connections of libgit2 in a worker: made here, so that the address that was checked is the one that is
// connected to (a name may resolve to another address the next time), redirects and SSH included.
struct ConnectionGuard {
  // Which remotes may have a loopback or private address: `host:port` as their URLs say, separated by spaces; `*`: all.
  std::string private_remotes;
  // Bytes that all connections together may bring: a remote may list refs for ever.
  std::int64_t most_bytes = 0;
  std::int64_t received_bytes = 0;
  std::string problem;    // why the last connection failed, for people; empty when it did not
  std::string last_host;  // whom the last connection is with
  std::string last_port;

  // Keeps the problem, for libgit2 too; -1.
  int Refuse(const std::string& why);
  // Counts what came; false: it is too much, which is the problem now.
  bool Receive(std::int64_t bytes);
  // A TCP connection under these rules, which does not block; the caller closes it. -1: see `problem`.
  int Connect(const std::string& host, const std::string& port);
};

// Makes libgit2 connect through the guard, under TLS too. Once in a process; the guard must outlive all connections.
void InstallGuard(ConnectionGuard* guard);

}  // namespace pepeunit::repo_sync
