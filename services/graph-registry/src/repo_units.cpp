#include "repo_units.h"

#include <google/protobuf/util/time_util.h>

#include "fields.h"
#include "pepeunit/base/clock.h"
#include "remote_fields.h"
#include "rights.h"
#include "rollout_plan.h"
#include "version_files.h"

namespace pepeunit::graph_registry {
namespace {

using google::protobuf::util::TimeUtil;

constexpr char kWhat[] = "repository";
constexpr char kList[] = "repo-units";
constexpr std::int64_t kDay = 86'400;
constexpr std::int64_t kLeastPeriod = 300, kMostPeriod = 365 * kDay;

// 0 when the schedule is off.
std::int64_t ReadPeriod(bool off, bool said, const google::protobuf::Duration& period, std::int64_t fallback,
                        Fields* fields) {
  if (off && said) fields->Fail("sync_period", "must not be given together with `no_automatic_sync`");
  if (off) return 0;
  if (!said) return fallback;
  if (period.seconds() < kLeastPeriod || period.seconds() > kMostPeriod || period.nanos() != 0) {
    fields->Fail("sync_period", "must be from 300s (5 minutes) to 31536000s (365 days), in whole seconds");
  }
  return period.seconds();
}

void ApplyFollowing(const graph::v1::UpdateRepoUnitRequest& request, graph::v1::RepoUnit* repo, Fields* fields) {
  if (!graph::v1::FollowMode_IsValid(request.follow_mode())) {
    fields->Fail("follow_mode", "must be FOLLOW_MODE_TIP or FOLLOW_MODE_RELEASES");
  } else if (request.follow_mode() != graph::v1::FOLLOW_MODE_UNSPECIFIED) {
    repo->set_follow_mode(request.follow_mode());
  }
  if (request.has_pre_releases()) repo->set_pre_releases(request.pre_releases());
  if (request.has_rollout_plan() && request.no_rollout_plan())
    fields->Fail("rollout_plan", "must not be given together with `no_rollout_plan`");
  if (request.no_rollout_plan()) repo->clear_rollout_plan();
  if (!request.has_rollout_plan()) return;
  *repo->mutable_rollout_plan() = request.rollout_plan();
  CheckPlan("rollout_plan", repo->mutable_rollout_plan(), fields);
}

// Checks all fields of the request at once and sets them, but for the branch, which has to be asked for.
absl::Status ApplyFields(const graph::v1::UpdateRepoUnitRequest& request, graph::v1::RepoUnit* repo) {
  Fields fields;
  if (request.has_name()) repo->set_name(fields.Name("name", request.name()));
  if (request.has_level()) repo->set_level(fields.Level("level", request.level(), repo->level()));
  if (request.has_credentials()) {
    if (!repo->private_()) fields.Fail("credentials", "belong to private repositories only");
    CheckCredentials(request.credentials(), KindOf(repo->url()), &fields);
  }
  if (request.has_ssh_host_key()) {
    CheckHostKey(request.ssh_host_key(), KindOf(repo->url()), &fields);
    repo->set_ssh_host_key(request.ssh_host_key());
  }
  if (request.has_signing_keys()) TakeSigningKeys(request.signing_keys(), repo, &fields);
  if (request.has_sync_period() || request.has_no_automatic_sync()) {
    const std::int64_t fallback = repo->has_sync_period() ? repo->sync_period().seconds() : kDay;
    const std::int64_t period =
        ReadPeriod(request.no_automatic_sync(), request.has_sync_period(), request.sync_period(), fallback, &fields);
    repo->clear_sync_period();
    if (period > 0) repo->mutable_sync_period()->set_seconds(period);
  }
  ApplyFollowing(request, repo, &fields);
  if (request.has_default_branch() && (request.default_branch().empty() || request.default_branch().size() > 255)) {
    fields.Fail("default_branch", "must have 1 to 255 characters");
  }
  return fields.Finish();
}

}  // namespace

absl::Status RepoUnits::Create(const rpc::Caller& caller, const graph::v1::CreateRepoUnitRequest& request,
                               graph::v1::RepoUnit& out) {
  PEPEUNIT_RETURN_IF_ERROR(RequireMaker(caller));
  Fields fields;
  graph::v1::RepoUnit repo;
  const Uuid id = Uuid::New();
  repo.set_id(id.ToString());
  repo.set_owner_id(caller.user_id.ToString());
  repo.set_name(fields.Name("name", request.name()));
  repo.set_url(request.url());
  const RemoteKind kind = CheckUrl(request.url(), &fields);
  // Whoever sees a repository can make units from it and so have its files: a private one is opened on purpose only.
  repo.set_level(fields.Level("level", request.level(),
                              request.private_() ? common::v1::ACCESS_LEVEL_PRIVATE : common::v1::ACCESS_LEVEL_PUBLIC));
  repo.set_private_(request.private_());
  if (request.private_() && !request.has_credentials())
    fields.Fail("credentials", "are needed for a private repository");
  if (!request.private_() && (request.has_credentials() || kind == RemoteKind::kSsh))
    fields.Fail("private", "must be true when credentials are given, and for addresses over SSH");
  if (request.has_credentials()) CheckCredentials(request.credentials(), kind, &fields);
  if (!request.ssh_host_key().empty()) CheckHostKey(request.ssh_host_key(), kind, &fields);
  repo.set_ssh_host_key(request.ssh_host_key());
  TakeSigningKeys(request.signing_keys(), &repo, &fields);
  const std::int64_t period =
      ReadPeriod(request.no_automatic_sync(), request.has_sync_period(), request.sync_period(), kDay, &fields);
  PEPEUNIT_RETURN_IF_ERROR(fields.Finish());
  if (period > 0) repo.mutable_sync_period()->set_seconds(period);
  repo.mutable_sync()->set_state(bus::v1::SYNC_STATE_PENDING);
  *repo.mutable_created_at() = TimeUtil::MillisecondsToTimestamp(NowMs());

  std::string sealed;
  if (request.has_credentials()) {
    PEPEUNIT_ASSIGN_OR_RETURN(sealed, secrets_.SealCredentials(id, request.credentials()));
  }
  graph::v1::CreateRepoUnitRequest open = request;
  open.clear_credentials();
  PEPEUNIT_ASSIGN_OR_RETURN(const Uuid made, store_.CreateRepoUnit(MakerOf(caller, open), repo, sealed));
  PEPEUNIT_ASSIGN_OR_RETURN(out, store_.GetRepoUnit(made));
  return absl::OkStatus();
}

absl::StatusOr<NodeFacts> RepoUnits::CheckRepo(const rpc::Caller& caller, const std::string& id, access::Role needed) {
  return FindNode(store_, caller, "id", id, needed, kWhat, graph::v1::NODE_TYPE_REPO_UNIT);
}

absl::Status RepoUnits::Get(const rpc::Caller& caller, const std::string& id, graph::v1::RepoUnit& out) {
  PEPEUNIT_ASSIGN_OR_RETURN(const NodeFacts facts, CheckRepo(caller, id, access::Role::kReader));
  PEPEUNIT_ASSIGN_OR_RETURN(out, store_.GetRepoUnit(facts.id));
  return absl::OkStatus();
}

absl::Status RepoUnits::List(const rpc::Caller& caller, const graph::v1::ListRepoUnitsRequest& request,
                             graph::v1::ListRepoUnitsResponse& out) {
  PEPEUNIT_ASSIGN_OR_RETURN(const Page page, ReadPage(kList, request.page_size(), request.cursor()));
  PEPEUNIT_ASSIGN_OR_RETURN(auto rows, store_.ListRepoUnits(SubjectOf(caller), page));
  out.set_next_cursor(CutPage(kList, page, &rows));
  for (auto& row : rows) *out.add_repo_units() = std::move(row);
  return absl::OkStatus();
}

absl::Status RepoUnits::Update(const rpc::Caller& caller, const graph::v1::UpdateRepoUnitRequest& request,
                               graph::v1::RepoUnit& out) {
  return ReadAndUpdate(caller, [&] { return UpdateOnce(caller, request, out); });
}

absl::Status RepoUnits::UpdateOnce(const rpc::Caller& caller, const graph::v1::UpdateRepoUnitRequest& request,
                                   graph::v1::RepoUnit& out) {
  PEPEUNIT_ASSIGN_OR_RETURN(const NodeFacts facts, CheckRepo(caller, request.id(), access::Role::kMaintainer));
  const Uuid id = facts.id;
  PEPEUNIT_ASSIGN_OR_RETURN(graph::v1::RepoUnit repo, store_.GetRepoUnit(id));
  PEPEUNIT_ASSIGN_OR_RETURN(const std::int64_t expected, ExpectedVersion(caller, repo.etag()));
  PEPEUNIT_RETURN_IF_ERROR(ApplyFields(request, &repo));
  if (request.has_default_branch()) {
    PEPEUNIT_RETURN_IF_ERROR(CheckBranch(repo.id(), request.default_branch()));
    repo.set_default_branch(request.default_branch());
  }
  std::optional<std::string> sealed;
  if (request.has_credentials()) {
    PEPEUNIT_ASSIGN_OR_RETURN(sealed, secrets_.SealCredentials(id, request.credentials()));
  }
  PEPEUNIT_RETURN_IF_ERROR(
      store_.UpdateRepoUnit(ActorOf(caller, {{id, access::Role::kMaintainer, kWhat}}), repo, sealed, expected));
  PEPEUNIT_ASSIGN_OR_RETURN(out, store_.GetRepoUnit(id));
  return absl::OkStatus();
}

// Units follow this branch: it has to exist, with files that a unit can be made from (R3, R7). Whether its tip is
// signed matters when a unit is to move there, and not at all to units that follow releases.
absl::Status RepoUnits::CheckBranch(const std::string& repo, const std::string& branch) {
  repo::v1::ResolveVersionRequest request;
  request.set_repo_unit_id(repo);
  request.set_branch(branch);
  const auto version = versions_.Resolve(request);
  if (absl::IsNotFound(version.status()))
    return InvalidField("default_branch", "the local copy has no such branch; see /branches, or sync first");
  if (!version.ok()) return version.status();
  return ReadVersionFiles(*version).status();
}

absl::Status RepoUnits::Delete(const rpc::Caller& caller, const std::string& id) {
  return ReadAndUpdate(caller, [&]() -> absl::Status {
    PEPEUNIT_ASSIGN_OR_RETURN(const NodeFacts facts, CheckRepo(caller, id, access::Role::kOwner));
    PEPEUNIT_ASSIGN_OR_RETURN(const std::int64_t expected, ExpectedVersion(caller, std::to_string(facts.version)));
    return store_.DeleteRepoUnit(ActorOf(caller, {{facts.id, access::Role::kOwner, kWhat}}), facts.id, expected);
  });
}

absl::Status RepoUnits::Sync(const rpc::Caller& caller, const std::string& id, graph::v1::RepoUnit& out) {
  PEPEUNIT_ASSIGN_OR_RETURN(const NodeFacts facts, CheckRepo(caller, id, access::Role::kMaintainer));
  PEPEUNIT_RETURN_IF_ERROR(
      store_.RequestSync(ActorOf(caller, {{facts.id, access::Role::kMaintainer, kWhat}}), facts.id));
  PEPEUNIT_ASSIGN_OR_RETURN(out, store_.GetRepoUnit(facts.id));
  return absl::OkStatus();
}

absl::Status RepoUnits::ListStandard(graph::v1::ListStandardRepositoriesResponse& out) const {
  for (const auto& repository : standard_) *out.add_repositories() = repository;
  return absl::OkStatus();
}

}  // namespace pepeunit::graph_registry
