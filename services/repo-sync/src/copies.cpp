#include "copies.h"

#include <algorithm>
#include <optional>

#include "pepeunit/base/errors.h"
#include "pepeunit/base/log.h"
#include "pepeunit/base/utf8.h"
#include "semver.h"
#include "version_files.h"

namespace pepeunit::repo_sync {
namespace {

constexpr char kHeads[] = "refs/heads/", kTags[] = "refs/tags/";
constexpr std::size_t kMostSummary = 200;     // characters
constexpr std::size_t kMostBlob = 64u << 20;  // one file is held in memory while it is sent
constexpr std::size_t kPiece = 64u << 10;
constexpr int kMostDepth = 64;
constexpr std::size_t kMostFiles = 100'000;
constexpr std::size_t kMostBranchesAsked = 200;

// The text is for people; the details go into the log.
absl::Status Damaged(const char* what) {
  log::Error("a copy cannot be read", {{"what", what}, {"git", git::LastMessage()}});
  return Internal("a copy cannot be read");
}

std::string Clean(const char* text) { return ToUtf8(text == nullptr ? "" : text, kMostSummary); }

absl::StatusOr<std::vector<Tip>> List(git_repository* repository, const std::string& prefix) {
  git::References list;
  if (git::Take(list, git_reference_iterator_glob_new, repository, (prefix + "*").c_str()) != 0)
    return Damaged("references");
  std::vector<Tip> tips;
  git_reference* raw = nullptr;
  while (git_reference_next(&raw, list.get()) == 0) {
    const git::Reference reference(raw);
    const std::string name = std::string(git_reference_name(reference.get())).substr(prefix.size());
    // A tag may name a file or a tree; that is no version. And a name of other bytes nobody could ask for.
    const git::Commit commit = git::PeelToCommit(reference.get());
    if (commit && IsUtf8(name)) tips.push_back({name, git::Hex(git_commit_id(commit.get()))});
  }
  std::sort(tips.begin(), tips.end(), [](const Tip& a, const Tip& b) { return a.name < b.name; });
  return tips;
}

git::Commit Find(git_repository* repository, const std::string& full_name) {
  git::Reference reference;
  if (git::Take(reference, git_reference_lookup, repository, full_name.c_str()) != 0) return nullptr;
  return git::PeelToCommit(reference.get());
}

std::string HeadOf(git_repository* repository) {
  git::Reference head;
  if (git::Take(head, git_reference_lookup, repository, "HEAD") != 0) return "";
  const char* target = git_reference_symbolic_target(head.get());
  const std::string name = target == nullptr ? "" : target;
  return name.starts_with(kHeads) ? name.substr(sizeof kHeads - 1) : "";
}

std::string TagOf(const std::vector<Tip>& tags, const std::string& commit) {
  const auto found = std::find_if(tags.begin(), tags.end(), [&](const Tip& tag) { return tag.commit == commit; });
  return found == tags.end() ? "" : found->name;
}

// Newest first; of tags that name the same version the first by name.
std::vector<const Tip*> Releases(const std::vector<Tip>& tags, bool pre_releases) {
  std::vector<std::pair<SemanticVersion, const Tip*>> found;
  for (const Tip& tag : tags) {
    auto version = ParseSemanticVersion(tag.name);
    if (version && (pre_releases || version->pre_release.empty())) found.emplace_back(*std::move(version), &tag);
  }
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return b.first < a.first; });
  std::vector<const Tip*> releases;
  for (const auto& [version, tag] : found) releases.push_back(tag);
  return releases;
}

// The newest, with keys the newest that is signed; when none is, the newest all the same; null without any.
const Tip* NewestRelease(const std::vector<Tip>& tags, bool pre_releases, Signatures* signatures) {
  const auto releases = Releases(tags, pre_releases);
  if (releases.empty()) return nullptr;
  if (signatures == nullptr) return releases.front();
  const auto is_signed = [&](const Tip* release) {
    return !signatures->OfRelease(release->commit, release->name).signed_by.empty();
  };
  const auto found = std::find_if(releases.begin(), releases.end(), is_signed);
  return found == releases.end() ? releases.front() : *found;
}

// A branch that contains the commit: the default one if it does, else the first by name.
std::string BranchWith(git_repository* repository, std::vector<Tip> branches, const git_oid* commit) {
  const std::string head = HeadOf(repository);
  std::stable_partition(branches.begin(), branches.end(), [&](const Tip& branch) { return branch.name == head; });
  if (branches.size() > kMostBranchesAsked) branches.resize(kMostBranchesAsked);
  for (const Tip& branch : branches) {
    git_oid tip;
    git_oid_fromstr(&tip, branch.commit.c_str());
    if (git_oid_equal(&tip, commit) != 0 || git_graph_descendant_of(repository, &tip, commit) == 1) return branch.name;
  }
  return "";
}

class TreeReader {
 public:
  TreeReader(git_repository* repository, git_odb* database, const std::function<absl::Status(const FilePiece&)>& take)
      : repository_(repository), database_(database), take_(take) {}

  // Git keeps a tree's entries in the order of their paths.
  absl::Status Read(const git_tree* tree, const std::string& prefix, int depth) {
    if (depth > kMostDepth) return Limit("The commit has folders deeper than 64 levels.");
    for (std::size_t i = 0; i < git_tree_entrycount(tree); ++i) {
      const git_tree_entry* entry = git_tree_entry_byindex(tree, i);
      const std::string path = prefix + git_tree_entry_name(entry);
      const git_filemode_t mode = git_tree_entry_filemode(entry);
      if (++count_ > kMostFiles) return Limit("The commit has more than 100000 files.");
      if (mode == GIT_FILEMODE_TREE) {
        git::Tree below;
        if (git::Take(below, git_tree_lookup, repository_, git_tree_entry_id(entry)) != 0) return Damaged("tree");
        PEPEUNIT_RETURN_IF_ERROR(Read(below.get(), path + "/", depth + 1));
      } else if (mode == GIT_FILEMODE_BLOB || mode == GIT_FILEMODE_BLOB_EXECUTABLE) {
        PEPEUNIT_RETURN_IF_ERROR(ReadFile(git_tree_entry_id(entry), path, mode == GIT_FILEMODE_BLOB_EXECUTABLE));
      } else {
        const auto kind = mode == GIT_FILEMODE_LINK ? FilePiece::Kind::kSymbolicLink : FilePiece::Kind::kSubmodule;
        PEPEUNIT_RETURN_IF_ERROR(take_({.path = path, .kind = kind, .executable = false, .size = 0, .data = {}}));
      }
    }
    return absl::OkStatus();
  }

 private:
  absl::Status ReadFile(const git_oid* id, const std::string& path, bool executable) {
    std::size_t size = 0;
    git_object_t type = GIT_OBJECT_INVALID;
    if (git_odb_read_header(&size, &type, database_, id) != 0) return Damaged("file");
    if (size > kMostBlob) return Limit("The file " + path + " is larger than 64 MiB.");
    git::Blob blob;
    if (git::Take(blob, git_blob_lookup, repository_, id) != 0) return Damaged("file");
    const std::string_view content(static_cast<const char*>(git_blob_rawcontent(blob.get())), size);
    FilePiece piece{.path = path,
                    .kind = FilePiece::Kind::kFile,
                    .executable = executable,
                    .size = static_cast<std::int64_t>(size),
                    .data = content.substr(0, kPiece)};
    PEPEUNIT_RETURN_IF_ERROR(take_(piece));
    for (std::size_t at = kPiece; at < size; at += kPiece) {
      PEPEUNIT_RETURN_IF_ERROR(take_({.path = {},
                                      .kind = FilePiece::Kind::kFile,
                                      .executable = false,
                                      .size = 0,
                                      .data = content.substr(at, kPiece)}));
    }
    return absl::OkStatus();
  }

  git_repository* repository_;
  git_odb* database_;
  const std::function<absl::Status(const FilePiece&)>& take_;
  std::size_t count_ = 0;
};

}  // namespace

absl::StatusOr<git::Repository> Copies::Open(const Uuid& id) const {
  git::Repository repository;
  if (git::Take(repository, git_repository_open_bare, (folder_ + "/" + id.ToString()).c_str()) != 0) {
    return absl::FailedPreconditionError("There is no local copy.");
  }
  return repository;
}

absl::StatusOr<std::vector<Tip>> Copies::Branches(const Uuid& id) {
  PEPEUNIT_ASSIGN_OR_RETURN(const git::Repository repository, Open(id));
  return List(repository.get(), kHeads);
}

absl::StatusOr<std::vector<Tip>> Copies::Tags(const Uuid& id) {
  PEPEUNIT_ASSIGN_OR_RETURN(const git::Repository repository, Open(id));
  return List(repository.get(), kTags);
}

absl::StatusOr<std::string> Copies::DefaultBranch(const Uuid& id) {
  PEPEUNIT_ASSIGN_OR_RETURN(const git::Repository repository, Open(id));
  return HeadOf(repository.get());
}

absl::StatusOr<std::string> Copies::TipOf(const Uuid& id, const std::string& branch) {
  PEPEUNIT_ASSIGN_OR_RETURN(const git::Repository repository, Open(id));
  const git::Commit commit = Find(repository.get(), kHeads + branch);
  if (!commit) return NotFound("branch");
  return git::Hex(git_commit_id(commit.get()));
}

absl::StatusOr<std::vector<CommitInfo>> Copies::Commits(const Uuid& id, const std::string& tip, std::size_t skip,
                                                        std::size_t count) {
  PEPEUNIT_ASSIGN_OR_RETURN(const git::Repository repository, Open(id));
  const git::Commit first = git::FindCommit(repository.get(), tip);
  if (!first) return NotFound("commit");
  git::Walk walk;
  if (git::Take(walk, git_revwalk_new, repository.get()) != 0) return Damaged("history");
  // Times of commits may be equal or wrong; a commit still comes before its parents.
  git_revwalk_sorting(walk.get(), GIT_SORT_TOPOLOGICAL | GIT_SORT_TIME);
  if (git_revwalk_push(walk.get(), git_commit_id(first.get())) != 0) return Damaged("history");
  std::vector<CommitInfo> commits;
  git_oid next;
  while (commits.size() < count && git_revwalk_next(&next, walk.get()) == 0) {
    if (skip > 0) {
      --skip;
      continue;
    }
    git::Commit commit;
    if (git::Take(commit, git_commit_lookup, repository.get(), &next) != 0) return Damaged("commit");
    const git_signature* author = git_commit_author(commit.get());
    commits.push_back({.id = git::Hex(&next),
                       .summary = Clean(git_commit_summary(commit.get())),
                       .author = Clean(author == nullptr ? "" : author->name),
                       .time_s = git_commit_time(commit.get())});
  }
  return commits;
}

absl::StatusOr<ResolvedVersion> Copies::Resolve(const Uuid& id, const Version& version, const SigningKeys& keys) {
  PEPEUNIT_ASSIGN_OR_RETURN(const git::Repository repository, Open(id));
  std::optional<Signatures> signatures;
  if (!keys.empty()) signatures.emplace(repository.get(), keys);
  const bool of_branch = version.kind == Version::Kind::kDefault || version.kind == Version::Kind::kBranch;
  ResolvedVersion found;
  git::Commit commit;
  if (of_branch) {
    found.branch = version.kind == Version::Kind::kDefault ? HeadOf(repository.get()) : version.name;
    commit = Find(repository.get(), kHeads + found.branch);
    if (!commit) return NotFound("branch");
  } else if (version.kind == Version::Kind::kTag) {
    found.tag = version.name;
    commit = Find(repository.get(), kTags + found.tag);
    if (!commit) return NotFound("tag");
  } else if (version.kind != Version::Kind::kCommit) {
    PEPEUNIT_ASSIGN_OR_RETURN(const auto tags, List(repository.get(), kTags));
    const Tip* newest =
        NewestRelease(tags, version.kind == Version::Kind::kNewestPreRelease, signatures ? &*signatures : nullptr);
    if (newest == nullptr) return NotFound("release");
    found.tag = newest->name;
    commit = git::FindCommit(repository.get(), newest->commit);
    if (!commit) return Damaged("commit");
  } else {
    commit = git::FindCommit(repository.get(), version.name);
    if (!commit) return NotFound("commit");
  }
  found.commit = git::Hex(git_commit_id(commit.get()));
  if (found.tag.empty()) {
    PEPEUNIT_ASSIGN_OR_RETURN(const auto tags, List(repository.get(), kTags));
    found.tag = TagOf(tags, found.commit);
  }
  if (found.branch.empty()) {
    PEPEUNIT_ASSIGN_OR_RETURN(auto branches, List(repository.get(), kHeads));
    found.branch = BranchWith(repository.get(), std::move(branches), git_commit_id(commit.get()));
  }
  found.schema_json = ReadVersionFile(repository.get(), commit.get(), kSchemaFile);
  found.env_example_json = ReadVersionFile(repository.get(), commit.get(), kEnvExampleFile);
  const bool of_release =
      version.kind == Version::Kind::kNewestRelease || version.kind == Version::Kind::kNewestPreRelease;
  if (signatures)
    found.signature = of_release ? signatures->OfRelease(found.commit, found.tag) : signatures->Of(found.commit);
  return found;
}

absl::StatusOr<std::vector<SignatureState>> Copies::SignaturesOf(const Uuid& id,
                                                                 const std::vector<std::string>& commits,
                                                                 const SigningKeys& keys) {
  PEPEUNIT_ASSIGN_OR_RETURN(const git::Repository repository, Open(id));
  Signatures signatures(repository.get(), keys);
  std::vector<SignatureState> states;
  for (const auto& commit : commits) states.push_back(signatures.Of(commit));
  return states;
}

absl::Status Copies::ReadTree(const Uuid& id, const std::string& commit,
                              const std::function<absl::Status(const FilePiece&)>& take) {
  PEPEUNIT_ASSIGN_OR_RETURN(const git::Repository repository, Open(id));
  const git::Commit found = git::FindCommit(repository.get(), commit);
  if (!found) return NotFound("commit");
  git::Tree tree;
  git::Database database;
  if (git::Take(tree, git_commit_tree, found.get()) != 0) return Damaged("tree");
  if (git::Take(database, git_repository_odb, repository.get()) != 0) return Damaged("objects");
  return TreeReader(repository.get(), database.get(), take).Read(tree.get(), "", 0);
}

}  // namespace pepeunit::repo_sync
