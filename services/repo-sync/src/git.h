#pragma once

#include <git2.h>

#include <memory>
#include <string>
#include <utility>

// Owners of libgit2's objects, and its set-up.
namespace pepeunit::repo_sync::git {

// libgit2 for this process: no configuration but a repository's own, bounded memory. Keep one while it is used.
class Library {
 public:
  Library();
  ~Library();
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;
};

template <auto Free>
struct Freer {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
template <typename T, auto Free>
using Owner = std::unique_ptr<T, Freer<Free>>;

using Repository = Owner<git_repository, git_repository_free>;
using Remote = Owner<git_remote, git_remote_free>;
using Reference = Owner<git_reference, git_reference_free>;
using References = Owner<git_reference_iterator, git_reference_iterator_free>;
using Object = Owner<git_object, git_object_free>;
using Commit = Owner<git_commit, git_commit_free>;
using Tree = Owner<git_tree, git_tree_free>;
using Tag = Owner<git_tag, git_tag_free>;
using Blob = Owner<git_blob, git_blob_free>;
using Entry = Owner<git_tree_entry, git_tree_entry_free>;
using Walk = Owner<git_revwalk, git_revwalk_free>;
using Database = Owner<git_odb, git_odb_free>;
using DatabaseObject = Owner<git_odb_object, git_odb_object_free>;

// Calls `function(&raw, arguments...)` and takes what it made; the result is libgit2's code.
template <typename Owned, typename Function, typename... Arguments>
int Take(Owned& out, Function function, Arguments&&... arguments) {
  typename Owned::element_type* raw = nullptr;
  const int code = function(&raw, std::forward<Arguments>(arguments)...);
  out.reset(code == 0 ? raw : nullptr);
  return code;
}

std::string Hex(const git_oid* id);
// libgit2's own words on its last error in this thread; for logs and for errors that have no better ones.
std::string LastMessage();

// What a reference or object names, through annotated tags; null when it names no commit.
Commit PeelToCommit(git_reference* reference);
// By 40 hex digits; null when there is none.
Commit FindCommit(git_repository* repository, const std::string& hex);

}  // namespace pepeunit::repo_sync::git
