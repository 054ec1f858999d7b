#pragma once

#include <git2.h>

#include <map>
#include <string>
#include <vector>

#include "sync_job.h"

// The branches and tags of a copy: how they are, what became of them, and what is wrong at each.
namespace pepeunit::repo_sync {

struct Ref {
  std::string target;  // 40 hex digits: of a commit, or of an annotated tag
  std::string commit;  // that it comes to; empty for a tag of something else
};

struct Refs {
  std::map<std::string, Ref> all;  // by full name, as `refs/heads/main`
  std::string head;                // the short name of HEAD's branch; empty: none
  bool whole = true;               // every commit is there with its tree
};

Refs ReadRefs(git_repository* repository);

// The first 100 changes in the order of their names, and how many there are.
void CompareRefs(git_repository* repository, const Refs& before, const Refs& after, SyncResult* result);

// What is wrong with the files that Pepeunit reads, of each branch and tag (R3): of those with problems the first 200.
// Refs with the same files are looked at once.
std::vector<RefCheck> CheckRefs(git_repository* repository, const Refs& refs);

}  // namespace pepeunit::repo_sync
