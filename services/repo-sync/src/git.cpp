#include "git.h"

namespace pepeunit::repo_sync::git {

Library::Library() {
  git_libgit2_init();
  for (const int level :
       {GIT_CONFIG_LEVEL_SYSTEM, GIT_CONFIG_LEVEL_XDG, GIT_CONFIG_LEVEL_GLOBAL, GIT_CONFIG_LEVEL_PROGRAMDATA}) {
    git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, level, "");
  }
  // The copies are the service's own, whoever mounted the folder.
  git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
  git_libgit2_opts(GIT_OPT_SET_MWINDOW_SIZE, static_cast<size_t>(4) << 20);
  git_libgit2_opts(GIT_OPT_SET_MWINDOW_MAPPED_LIMIT, static_cast<size_t>(64) << 20);
  git_libgit2_opts(GIT_OPT_SET_CACHE_MAX_SIZE, static_cast<ssize_t>(16) << 20);
}

Library::~Library() { git_libgit2_shutdown(); }

std::string Hex(const git_oid* id) {
  char text[GIT_OID_HEXSZ + 1];
  return git_oid_tostr(text, sizeof text, id);
}

std::string LastMessage() {
  const git_error* error = git_error_last();
  return error != nullptr && error->message != nullptr ? error->message : "unknown error";
}

Commit PeelToCommit(git_reference* reference) {
  Object object;
  if (Take(object, git_reference_peel, reference, GIT_OBJECT_COMMIT) != 0) return nullptr;
  return Commit(reinterpret_cast<git_commit*>(object.release()));
}

Commit FindCommit(git_repository* repository, const std::string& hex) {
  git_oid id;
  Commit commit;
  if (hex.size() != GIT_OID_HEXSZ || git_oid_fromstr(&id, hex.c_str()) != 0) return nullptr;
  Take(commit, git_commit_lookup, repository, &id);
  return commit;
}

}  // namespace pepeunit::repo_sync::git
