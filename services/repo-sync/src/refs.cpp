#include "refs.h"

#include <utility>

#include "git.h"
#include "version_files.h"

namespace pepeunit::repo_sync {
namespace {

constexpr std::size_t kMostChanges = 100;
constexpr std::size_t kMostChecks = 200;
constexpr std::size_t kMostProblemsOfRef = 12;

// Whether all that `commit` is made of can be read, as far as that is cheap to say.
bool IsWhole(git_commit* commit) {
  git::Tree tree;
  return git::Take(tree, git_commit_tree, commit) == 0;
}

RefChange::Kind KindOfMove(git_repository* repository, const std::string& from, const std::string& to) {
  git_oid old_tip, new_tip;
  if (git_oid_fromstr(&old_tip, from.c_str()) != 0 || git_oid_fromstr(&new_tip, to.c_str()) != 0)
    return RefChange::Kind::kMoved;
  // What is not among the new one's ancestors, or is not there at all, was taken out of the history.
  return git_graph_descendant_of(repository, &new_tip, &old_tip) == 1 ? RefChange::Kind::kMoved
                                                                      : RefChange::Kind::kRewritten;
}

// Names of the files' contents at a commit, which decide on what is wrong with them.
std::string FilesAt(git_commit* commit) {
  git::Tree tree;
  std::string key;
  if (git::Take(tree, git_commit_tree, commit) != 0) return key;
  for (const char* name : {kSchemaFile, kEnvExampleFile}) {
    const git_tree_entry* entry = git_tree_entry_byname(tree.get(), name);
    key += entry == nullptr ? "-" : git::Hex(git_tree_entry_id(entry)) + std::to_string(git_tree_entry_filemode(entry));
  }
  return key;
}

}  // namespace

Refs ReadRefs(git_repository* repository) {
  Refs refs;
  git::References list;
  if (git::Take(list, git_reference_iterator_new, repository) != 0) return refs;
  git_reference* raw = nullptr;
  while (git_reference_next(&raw, list.get()) == 0) {
    const git::Reference reference(raw);
    const std::string name = git_reference_name(reference.get());
    const git_oid* target = git_reference_target(reference.get());
    if (target == nullptr || (!name.starts_with("refs/heads/") && !name.starts_with("refs/tags/"))) continue;
    Ref& ref = refs.all[name];
    ref.target = git::Hex(target);
    const git::Commit commit = git::PeelToCommit(reference.get());
    if (commit) ref.commit = git::Hex(git_commit_id(commit.get()));
    refs.whole = refs.whole && (commit ? IsWhole(commit.get()) : name.starts_with("refs/tags/"));
  }
  git::Reference head;
  if (git::Take(head, git_reference_lookup, repository, "HEAD") == 0) {
    const char* target = git_reference_symbolic_target(head.get());
    const std::string name = target == nullptr ? "" : target;
    if (name.starts_with("refs/heads/")) refs.head = name.substr(11);
  }
  return refs;
}

void CompareRefs(git_repository* repository, const Refs& before, const Refs& after, SyncResult* result) {
  const auto add = [&](RefChange::Kind kind, const std::string& name, const std::string& from, const std::string& to) {
    ++result->change_count;
    if (result->changes.size() < kMostChanges) result->changes.push_back({kind, name, from, to});
  };
  for (const auto& [name, ref] : after.all) {
    const auto old = before.all.find(name);
    if (old == before.all.end()) {
      add(RefChange::Kind::kAdded, name, "", ref.commit);
    } else if (old->second.target != ref.target) {
      add(KindOfMove(repository, old->second.commit, ref.commit), name, old->second.commit, ref.commit);
    }
  }
  for (const auto& [name, ref] : before.all) {
    if (!after.all.contains(name)) add(RefChange::Kind::kDeleted, name, ref.commit, "");
  }
}

std::vector<RefCheck> CheckRefs(git_repository* repository, const Refs& refs) {
  std::vector<RefCheck> checks;
  std::map<std::string, std::vector<schema::Problem>> known;
  for (const auto& [name, ref] : refs.all) {
    if (checks.size() == kMostChecks) break;
    const git::Commit commit = ref.commit.empty() ? nullptr : git::FindCommit(repository, ref.commit);
    if (!commit) continue;
    const auto [found, is_new] = known.try_emplace(FilesAt(commit.get()));
    if (is_new) {
      found->second = CheckVersionFiles(repository, commit.get());
      if (found->second.size() > kMostProblemsOfRef) found->second.resize(kMostProblemsOfRef);
    }
    if (!found->second.empty()) checks.push_back({name, ref.commit, found->second});
  }
  return checks;
}

}  // namespace pepeunit::repo_sync
