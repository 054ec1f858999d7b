#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "pepeunit/schema/schema.h"

// What a worker is told and what it says: plain values, shared by the parent and the child.
namespace pepeunit::repo_sync {

struct SyncJob {
  std::string url;
  std::string username, password;  // empty: a public remote
  std::string folder;              // of all copies
  std::string name;                // of this copy in it: the UUID
  std::int64_t max_bytes = 0;      // of the copy, and of what is received for it
  std::string private_remotes{};   // see ConnectionGuard
};

struct Tip {
  std::string name;
  std::string commit;  // 40 hex digits
};

struct SyncResult {
  std::string error;  // for people, without credentials; empty: the copy is the remote's state
  std::string remote_head;
  std::int64_t size_bytes = 0;
  std::vector<Tip> branches;
  std::vector<schema::Problem> problems;  // of the files that Pepeunit reads, at the remote's head
};

}  // namespace pepeunit::repo_sync
