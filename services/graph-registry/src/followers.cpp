#include "followers.h"

#include "follow_problem.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/base/log.h"
#include "rights.h"
#include "rollout_plan.h"
#include "rollout_preview.h"

namespace pepeunit::graph_registry {
namespace {

bool Follows(const graph::v1::Unit& unit) { return unit.version().follow(); }

// Whether this rollout, the newest of units that follow, decides on those that are not at `commit`.
bool DecidesOn(const std::optional<RolloutRow>& newest, const std::string& commit) {
  return newest && newest->target.commit() == commit && newest->state != graph::v1::ROLLOUT_STATE_COMPLETED;
}

}  // namespace

absl::StatusOr<Uuid> Followers::Follow(const Uuid& repo_unit, const Uuid& after, int most) {
  const auto repo = store_.GetRepoUnit(repo_unit);
  if (absl::IsNotFound(repo.status())) return Uuid{};
  if (!repo.ok()) return repo.status();
  if (repo->default_branch().empty()) return Uuid{};
  const auto refused = [&](const absl::Status& status,
                           const repo::v1::ResolveVersionResponse& tip) -> absl::StatusOr<Uuid> {
    if (Passes(status)) return status;
    log::Warning("units stay where they are", {{"repo_unit", repo->id()}, {"status", status}});
    PEPEUNIT_RETURN_IF_ERROR(store_.SetFollowProblem(repo_unit, {}, FollowProblemOf(status, tip)));
    return Uuid{};
  };
  const auto resolved = choices_.Choose(*repo, {});
  if (!resolved.ok()) return refused(resolved.status(), {});
  const auto files = ReadVersionFiles(*resolved);
  if (!files.ok()) return refused(files.status(), *resolved);
  const graph::v1::UnitVersion to = VersionOf(*resolved, *repo, true);
  PEPEUNIT_ASSIGN_OR_RETURN(const auto newest, rollouts_.NewestOfFollowers(repo_unit));
  if (DecidesOn(newest, to.commit())) return Uuid{};
  const bool proven = newest && newest->target.commit() == to.commit();
  if (repo->has_rollout_plan() && !proven) {
    PEPEUNIT_ASSIGN_OR_RETURN(const auto behind, rollouts_.ListFollowersBehind(to));
    if (!behind.empty()) return Begin(*repo, to, behind);
  }
  if (newest && !HasEnded(newest->state)) PEPEUNIT_RETURN_IF_ERROR(rollouts_.Supersede(repo_unit));
  return MoveSome(to, *files, {.after = after, .limit = most});
}

absl::StatusOr<Uuid> Followers::Begin(const graph::v1::RepoUnit& repo, const graph::v1::UnitVersion& to,
                                      const std::vector<RolloutCandidate>& behind) {
  RolloutRow row;
  row.id = Uuid::New().ToString();
  row.repo_unit_id = repo.id();
  row.target = to;
  row.plan = repo.rollout_plan();
  PEPEUNIT_RETURN_IF_ERROR(rollouts_.CreateRollout({}, row, behind, PhasesOf(row.plan, behind)).status());
  log::Info("a rollout begins", {{"repo_unit", repo.id()}, {"rollout", row.id}, {"units", behind.size()}});
  PEPEUNIT_RETURN_IF_ERROR(store_.ClearFollowProblems(*Uuid::Parse(repo.id()), to.branch(), to.commit()));
  return Uuid{};
}

absl::StatusOr<Uuid> Followers::MoveSome(const graph::v1::UnitVersion& to, const VersionFiles& files,
                                         const Page& page) {
  const Uuid repo_unit = *Uuid::Parse(to.repo_unit_id());
  PEPEUNIT_ASSIGN_OR_RETURN(const auto behind, store_.ListBehind(repo_unit, to.branch(), to.commit(), page));
  for (const Uuid& unit : behind) {
    const absl::Status status = units_.MoveTo({}, unit, to, files, Follows);
    if (Passes(status)) return status;
    // One that is moved or deleted at the same moment is somebody's wish, and stays so.
    if (status.ok() || absl::IsNotFound(status)) continue;
    log::Warning("a unit stays where it is", {{"unit", unit.ToString()}, {"status", status}});
    repo::v1::ResolveVersionResponse tip;
    tip.set_commit(to.commit());
    PEPEUNIT_RETURN_IF_ERROR(store_.SetFollowProblem(repo_unit, unit, FollowProblemOf(status, tip)));
  }
  if (behind.size() == static_cast<std::size_t>(page.limit)) return behind.back();
  // Of units that stood there before: the tip came back to them.
  PEPEUNIT_RETURN_IF_ERROR(store_.ClearFollowProblems(repo_unit, to.branch(), to.commit()));
  return Uuid{};
}

absl::Status Followers::Preview(const rpc::Caller& caller, const graph::v1::PreviewFollowRequest& request,
                                graph::v1::FollowPreview& out) {
  PEPEUNIT_ASSIGN_OR_RETURN(const NodeFacts facts,
                            FindNode(store_, caller, "id", request.id(), access::Role::kMaintainer, "repository",
                                     graph::v1::NODE_TYPE_REPO_UNIT));
  if (!graph::v1::FollowMode_IsValid(request.follow_mode())) return InvalidField("follow_mode", "is none of the modes");
  PEPEUNIT_ASSIGN_OR_RETURN(graph::v1::RepoUnit repo, store_.GetRepoUnit(facts.id));
  if (!request.default_branch().empty()) repo.set_default_branch(request.default_branch());
  if (request.follow_mode() != graph::v1::FOLLOW_MODE_UNSPECIFIED) repo.set_follow_mode(request.follow_mode());
  if (request.has_pre_releases()) repo.set_pre_releases(request.pre_releases());
  PEPEUNIT_RETURN_IF_ERROR(CheckConfigured(repo));
  const auto resolved = choices_.Choose(repo, {});
  if (!resolved.ok()) {
    if (Passes(resolved.status())) return resolved.status();
    *out.mutable_problem() = FollowProblemOf(resolved.status(), {});
    return absl::OkStatus();
  }
  const auto files = ReadVersionFiles(*resolved);
  if (!files.ok()) {
    *out.mutable_problem() = FollowProblemOf(files.status(), *resolved);
    return absl::OkStatus();
  }
  *out.mutable_version() = VersionOf(*resolved, repo, true);
  PEPEUNIT_ASSIGN_OR_RETURN(const auto newest, rollouts_.NewestOfFollowers(facts.id));
  const bool decided = DecidesOn(newest, resolved->commit());
  if (decided) out.set_rollout_id(newest->id);
  PEPEUNIT_ASSIGN_OR_RETURN(const auto behind, rollouts_.ListFollowersBehind(out.version()));
  out.set_units(decided ? 0 : static_cast<std::int32_t>(behind.size()));
  if (decided) return absl::OkStatus();
  if (repo.has_rollout_plan()) {
    for (const auto& phase : Planned(repo.rollout_plan(), behind)) *out.add_phases() = phase;
  }
  return ForeseeSteps(units_, behind, *files, out.mutable_steps());
}

}  // namespace pepeunit::graph_registry
