#include "version_files.h"

#include <algorithm>
#include <iterator>

#include "git.h"

namespace pepeunit::repo_sync {
namespace {

constexpr std::size_t kMostProblems = 100;

bool IsRegularFile(const git_tree_entry* entry) {
  const git_filemode_t mode = git_tree_entry_filemode(entry);
  return mode == GIT_FILEMODE_BLOB || mode == GIT_FILEMODE_BLOB_EXECUTABLE;
}

}  // namespace

VersionFile ReadVersionFile(git_repository* repository, git_commit* commit, const char* name) {
  git::Tree tree;
  if (git::Take(tree, git_commit_tree, commit) != 0) return {};
  const git_tree_entry* entry = git_tree_entry_byname(tree.get(), name);
  if (entry == nullptr || !IsRegularFile(entry)) return {};
  git::Database database;
  if (git::Take(database, git_repository_odb, repository) != 0) return {};
  std::size_t size = 0;
  git_object_t type = GIT_OBJECT_INVALID;
  // Before it is unpacked: a small object may hold a very large file.
  if (git_odb_read_header(&size, &type, database.get(), git_tree_entry_id(entry)) != 0) return {};
  if (size > kMostFileBytes) return {.text = {}, .too_large = true};
  git::Blob blob;
  if (git::Take(blob, git_blob_lookup, repository, git_tree_entry_id(entry)) != 0) return {};
  return {.text = std::string(static_cast<const char*>(git_blob_rawcontent(blob.get())),
                              static_cast<std::size_t>(git_blob_rawsize(blob.get()))),
          .too_large = false};
}

std::vector<schema::Problem> CheckVersionFiles(git_repository* repository, git_commit* commit) {
  std::vector<schema::Problem> problems;
  const auto check = [&](const char* name, auto parse) {
    const VersionFile file = ReadVersionFile(repository, commit, name);
    if (!file.text) {
      problems.push_back(
          {name, 0, "", file.too_large ? "the file is larger than 256 KiB" : "the file is missing", false});
      return;
    }
    auto found = parse(*file.text).problems;
    std::move(found.begin(), found.end(), std::back_inserter(problems));
  };
  check(kSchemaFile, schema::ParseSchema);
  check(kEnvExampleFile, schema::ParseEnvExample);
  // Errors before warnings, so that the bound cuts off the lesser ones.
  std::stable_sort(problems.begin(), problems.end(),
                   [](const auto& a, const auto& b) { return a.warning < b.warning; });
  if (problems.size() > kMostProblems) problems.resize(kMostProblems);
  return problems;
}

}  // namespace pepeunit::repo_sync
