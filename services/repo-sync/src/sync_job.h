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
  // Over SSH, see SshRemote; `username` is not used then, for the address says who signs in.
  std::string private_key{}, passphrase{};
  std::string pinned_host_key{};
};

struct Tip {
  std::string name;
  std::string commit;  // 40 hex digits
};

struct RefChange {
  enum class Kind { kAdded = 1, kMoved, kRewritten, kDeleted } kind = Kind::kAdded;
  std::string ref;       // full name
  std::string from, to;  // commits; empty where there was or is none
};

struct RefCheck {
  std::string ref;  // full name
  std::string commit;
  std::vector<schema::Problem> problems;  // at least one
};

// How far a sync is; 0: not known yet.
struct Progress {
  std::int64_t received_bytes = 0, received_objects = 0, total_objects = 0;
};

struct SyncResult {
  std::string error;       // for people, without credentials; empty: the copy is the remote's state
  std::string host_key{};  // fingerprint of the one that the remote showed over SSH; empty: none
  // Nothing but the list of refs was asked for, and what is known of the copy is still so: the rest is empty then, but
  // for remote_head and branches.
  bool unchanged = false;
  std::int64_t received_bytes = 0;
  std::vector<RefChange> changes;  // the first of them; none of a first clone
  int change_count = 0;
  std::string former_head;       // when the remote's head is another one now
  std::vector<RefCheck> checks;  // of branches and tags with problems
  std::string remote_head;
  std::int64_t size_bytes = 0;
  std::vector<Tip> branches;
  std::vector<schema::Problem> problems;  // of the files that Pepeunit reads, at the remote's head
};

}  // namespace pepeunit::repo_sync
