#include "repositories.h"

#include <charconv>

#include "absl/strings/str_split.h"
#include "pepeunit/base/bytes.h"
#include "pepeunit/base/errors.h"

namespace pepeunit::repo_sync {
namespace {

constexpr int kDefaultPage = 50, kMostPage = 200;
constexpr std::size_t kMostName = 1024;

// Where the next page begins. The tip keeps the pages of one list together while the branch moves on; of syncs there is
// none, and `skip` is the id of the last one.
struct Cursor {
  std::string tip;
  std::size_t skip = 0;
};

// Binds a cursor to its list. It keeps mistakes out; it hides nothing.
std::string CheckSum(const std::string& list, const std::string& position) {
  return HexEncode(AsBytes(Sha256(AsBytes(list + "\n" + position)).substr(0, 8)));
}

std::string CommitsOf(const Uuid& id, const std::string& branch) { return "commits\n" + id.ToString() + "\n" + branch; }
std::string SyncsOf(const Uuid& id) { return "syncs\n" + id.ToString(); }

std::string WriteCursor(const std::string& list, const Cursor& cursor) {
  const std::string position = cursor.tip + ":" + std::to_string(cursor.skip);
  return Base64UrlEncode(AsBytes(position + ":" + CheckSum(list, position)));
}

absl::StatusOr<Cursor> ReadCursor(const std::string& list, const std::string& text) {
  const auto raw = Base64UrlDecode(text);
  if (!raw) return InvalidCursor();
  const std::vector<std::string> parts = absl::StrSplit(*raw, ':');
  if (parts.size() != 3 || CheckSum(list, parts[0] + ":" + parts[1]) != parts[2]) return InvalidCursor();
  Cursor cursor{.tip = parts[0], .skip = 0};
  const auto [end, error] = std::from_chars(parts[1].data(), parts[1].data() + parts[1].size(), cursor.skip);
  if (error != std::errc() || end != parts[1].data() + parts[1].size()) return InvalidCursor();
  return cursor;
}

// Of a ref as the copy has it now; one that moved since it was looked at has none.
void ShowProblems(const repo::v1::RefChecks& checks, const std::string& ref, const std::string& commit,
                  google::protobuf::RepeatedPtrField<common::v1::FileProblem>* out) {
  for (const auto& check : checks.checks()) {
    if (check.ref() == ref && check.commit() == commit) *out = check.problems();
  }
}

void Show(const SignatureState& state, repo::v1::Signature* out) {
  out->set_signed_by(state.signed_by);
  out->set_tag(state.tag);
  out->set_problem(state.problem);
}

bool IsCommit(const std::string& text) { return text.size() == 40 && HexDecode(text).has_value(); }

absl::Status CheckName(const char* field, const std::string& name) {
  if (name.size() <= kMostName && name.find('\0') == std::string::npos) return absl::OkStatus();
  return InvalidField(field, "must have at most 1024 characters");
}

}  // namespace

absl::StatusOr<Repositories::Admitted> Repositories::Admit(const rpc::Context& call, const std::string& repo_unit) {
  const auto id = Uuid::Parse(repo_unit);
  if (!id) return InvalidField("repo_unit_id", "is not a UUID");
  PEPEUNIT_ASSIGN_OR_RETURN(auto keys, rights_.MayRead(call.caller, *id));
  return Admitted{*id, std::move(keys)};
}

template <typename Items, typename CommitOf>
absl::Status Repositories::ShowSignatures(const Admitted& repository, Items* items, CommitOf commit_of) {
  if (repository.keys.empty()) return absl::OkStatus();
  std::vector<std::string> commits;
  for (const auto& item : *items) commits.push_back(commit_of(item));
  auto states = copies_.SignaturesOf(repository.id, commits, repository.keys);
  if (!states.ok()) return Explain(repository.id, states.status());
  for (int i = 0; i < items->size(); ++i) Show((*states)[static_cast<std::size_t>(i)], (*items)[i].mutable_signature());
  return absl::OkStatus();
}

absl::StatusOr<Uuid> Repositories::AdmitService(const rpc::Context& call, const std::string& repo_unit) {
  if (call.caller.kind != rpc::Caller::Kind::kService) return Forbidden("Only services may ask this.");
  const auto id = Uuid::Parse(repo_unit);
  if (!id) return InvalidField("repo_unit_id", "is not a UUID");
  return *id;
}

absl::Status Repositories::Explain(const Uuid& id, const absl::Status& status) {
  if (!absl::IsFailedPrecondition(status)) return status;
  std::string message = "The local copy of the repository is not ready: it waits for its first sync.";
  if (const auto state = store_.Get(id); state.ok() && state->has_value()) {
    if ((*state)->running) message = "The local copy of the repository is not ready: it is being cloned.";
    if ((*state)->failed)
      message = "The local copy of the repository is not ready: its last sync failed. " + (*state)->error;
  }
  return Error(absl::StatusCode::kFailedPrecondition, "REPOSITORY_NOT_READY", message);
}

absl::Status Repositories::Branches(const rpc::Context& call, const repo::v1::ListBranchesRequest& request,
                                    repo::v1::ListBranchesResponse& out) {
  PEPEUNIT_ASSIGN_OR_RETURN(const Admitted repository, Admit(call, request.repo_unit_id()));
  const Uuid& id = repository.id;
  const auto branches = copies_.Branches(id);
  if (!branches.ok()) return Explain(id, branches.status());
  const auto head = copies_.DefaultBranch(id);
  if (!head.ok()) return Explain(id, head.status());
  PEPEUNIT_ASSIGN_OR_RETURN(const auto checks, store_.GetChecks(id));
  for (const Tip& tip : *branches) {
    auto* branch = out.add_branches();
    branch->set_name(tip.name);
    branch->set_commit(tip.commit);
    branch->set_remote_head(tip.name == *head);
    ShowProblems(checks, "refs/heads/" + tip.name, tip.commit, branch->mutable_problems());
  }
  return ShowSignatures(repository, out.mutable_branches(), [](const auto& branch) { return branch.commit(); });
}

absl::Status Repositories::Tags(const rpc::Context& call, const repo::v1::ListTagsRequest& request,
                                repo::v1::ListTagsResponse& out) {
  PEPEUNIT_ASSIGN_OR_RETURN(const Admitted repository, Admit(call, request.repo_unit_id()));
  const Uuid& id = repository.id;
  const auto tags = copies_.Tags(id);
  if (!tags.ok()) return Explain(id, tags.status());
  PEPEUNIT_ASSIGN_OR_RETURN(const auto checks, store_.GetChecks(id));
  for (const Tip& tip : *tags) {
    auto* tag = out.add_tags();
    tag->set_name(tip.name);
    tag->set_commit(tip.commit);
    ShowProblems(checks, "refs/tags/" + tip.name, tip.commit, tag->mutable_problems());
  }
  return ShowSignatures(repository, out.mutable_tags(), [](const auto& tag) { return tag.commit(); });
}

absl::Status Repositories::Commits(const rpc::Context& call, const repo::v1::ListCommitsRequest& request,
                                   repo::v1::ListCommitsResponse& out) {
  if (request.page_size() < 0 || request.page_size() > kMostPage)
    return InvalidField("page_size", "must be from 1 to 200");
  PEPEUNIT_RETURN_IF_ERROR(CheckName("branch", request.branch()));
  PEPEUNIT_ASSIGN_OR_RETURN(const Admitted repository, Admit(call, request.repo_unit_id()));
  const Uuid& id = repository.id;
  Cursor cursor;
  if (request.cursor().empty()) {
    const auto branch = request.branch().empty() ? copies_.DefaultBranch(id) : request.branch();
    if (!branch.ok()) return Explain(id, branch.status());
    const auto tip = copies_.TipOf(id, *branch);
    if (!tip.ok()) return Explain(id, tip.status());
    cursor.tip = *tip;
  } else {
    PEPEUNIT_ASSIGN_OR_RETURN(cursor, ReadCursor(CommitsOf(id, request.branch()), request.cursor()));
  }
  const auto limit = static_cast<std::size_t>(request.page_size() == 0 ? kDefaultPage : request.page_size());
  auto commits = copies_.Commits(id, cursor.tip, cursor.skip, limit + 1);
  // The history was rewritten since the first page.
  if (absl::IsNotFound(commits.status())) return InvalidCursor();
  if (!commits.ok()) return Explain(id, commits.status());
  if (commits->size() > limit) {
    commits->resize(limit);
    out.set_next_cursor(WriteCursor(CommitsOf(id, request.branch()), {.tip = cursor.tip, .skip = cursor.skip + limit}));
  }
  for (auto& from : *commits) {
    auto* commit = out.add_commits();
    commit->set_id(std::move(from.id));
    commit->set_summary(std::move(from.summary));
    commit->set_author(std::move(from.author));
    commit->mutable_committed_at()->set_seconds(from.time_s);
  }
  return ShowSignatures(repository, out.mutable_commits(), [](const auto& commit) { return commit.id(); });
}

absl::Status Repositories::Syncs(const rpc::Context& call, const repo::v1::ListSyncsRequest& request,
                                 repo::v1::ListSyncsResponse& out) {
  if (request.page_size() < 0 || request.page_size() > kMostRecords)
    return InvalidField("page_size", "must be from 1 to 100");
  PEPEUNIT_ASSIGN_OR_RETURN(const Admitted repository, Admit(call, request.repo_unit_id()));
  const Uuid& id = repository.id;
  Cursor cursor;
  if (!request.cursor().empty()) {
    PEPEUNIT_ASSIGN_OR_RETURN(cursor, ReadCursor(SyncsOf(id), request.cursor()));
  }
  const int limit = request.page_size() == 0 ? kDefaultPage : request.page_size();
  PEPEUNIT_ASSIGN_OR_RETURN(auto kept, store_.ListSyncs(id, static_cast<std::int64_t>(cursor.skip), limit + 1));
  if (kept.size() > static_cast<std::size_t>(limit)) {
    kept.pop_back();
    out.set_next_cursor(WriteCursor(SyncsOf(id), {.tip = "", .skip = static_cast<std::size_t>(kept.back().id)}));
  }
  for (KeptRecord& one : kept) *out.add_syncs() = std::move(one.record);
  return absl::OkStatus();
}

absl::Status Repositories::Resolve(const rpc::Context& call, const repo::v1::ResolveVersionRequest& request,
                                   repo::v1::ResolveVersionResponse& out) {
  PEPEUNIT_ASSIGN_OR_RETURN(const Uuid id, AdmitService(call, request.repo_unit_id()));
  Version version;
  switch (request.version_case()) {
    case repo::v1::ResolveVersionRequest::kBranch:
      version = {Version::Kind::kBranch, request.branch()};
      break;
    case repo::v1::ResolveVersionRequest::kTag:
      version = {Version::Kind::kTag, request.tag()};
      break;
    case repo::v1::ResolveVersionRequest::kCommit:
      version = {Version::Kind::kCommit, request.commit()};
      break;
    case repo::v1::ResolveVersionRequest::kNewestRelease:
      version.kind =
          request.newest_release().pre_releases() ? Version::Kind::kNewestPreRelease : Version::Kind::kNewestRelease;
      break;
    case repo::v1::ResolveVersionRequest::VERSION_NOT_SET:
      break;
  }
  PEPEUNIT_RETURN_IF_ERROR(CheckName("version", version.name));
  if (version.kind == Version::Kind::kCommit && !IsCommit(version.name))
    return InvalidField("commit", "must be 40 hex digits");
  const SigningKeys keys(request.signing_keys().begin(), request.signing_keys().end());
  auto found = copies_.Resolve(id, version, keys);
  if (!found.ok()) return Explain(id, found.status());
  out.set_commit(found->commit);
  out.set_tag(found->tag);
  out.set_branch(found->branch);
  if (found->schema_json.text) out.set_schema_json(*std::move(found->schema_json.text));
  if (found->env_example_json.text) out.set_env_example_json(*std::move(found->env_example_json.text));
  out.set_schema_json_too_large(found->schema_json.too_large);
  out.set_env_example_json_too_large(found->env_example_json.too_large);
  if (!keys.empty()) Show(found->signature, out.mutable_signature());
  return absl::OkStatus();
}

absl::Status Repositories::ReadTree(const rpc::Context& call, const repo::v1::ReadTreeRequest& request,
                                    const std::function<bool(const repo::v1::TreePiece&)>& write) {
  PEPEUNIT_ASSIGN_OR_RETURN(const Uuid id, AdmitService(call, request.repo_unit_id()));
  if (!IsCommit(request.commit())) return InvalidField("commit", "must be 40 hex digits");
  repo::v1::TreePiece message;
  const absl::Status status = copies_.ReadTree(id, request.commit(), [&](const FilePiece& piece) -> absl::Status {
    message.set_path(piece.path);
    message.set_kind(piece.path.empty() ? repo::v1::TREE_ENTRY_KIND_UNSPECIFIED
                                        : static_cast<repo::v1::TreeEntryKind>(static_cast<int>(piece.kind) + 1));
    message.set_executable(piece.executable);
    message.set_size(piece.size);
    message.set_data(std::string(piece.data));
    return write(message) ? absl::OkStatus() : absl::CancelledError("The caller went away.");
  });
  return Explain(id, status);
}

}  // namespace pepeunit::repo_sync
