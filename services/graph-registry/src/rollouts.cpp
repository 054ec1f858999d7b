#include "rollouts.h"

#include <algorithm>
#include <set>

#include "fields.h"
#include "pepeunit/base/clock.h"
#include "pepeunit/base/errors.h"
#include "rights.h"
#include "rollout_plan.h"
#include "rollout_preview.h"

namespace pepeunit::graph_registry {
namespace {

using namespace graph::v1;
using Failures = RolloutStore::Failures;

constexpr char kRollout[] = "rollout";
constexpr char kItsRepository[] = "repository";
constexpr int kMostNamed = 10'000;

std::string NameOf(RolloutState state) {
  std::string name = RolloutState_Name(state).substr(sizeof("ROLLOUT_STATE_") - 1);
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c == '_' ? ' ' : static_cast<char>(c + ('a' - 'A')); });
  return name;
}

absl::Status CheckRequest(const CreateRolloutRequest& request, RolloutPlan* plan) {
  Fields fields;
  fields.Id("repo_unit_id", request.repo_unit_id());
  if (request.has_pin() == request.follow()) fields.Fail("pin", "must be there, or else `follow` true");
  if (request.has_pin()) CheckPin(request.pin(), &fields);
  if (request.unit_ids_size() > kMostNamed) fields.Fail("unit_ids", "must be at most 10,000");
  for (int i = 0; i < std::min(request.unit_ids_size(), kMostNamed); ++i)
    fields.Id("unit_ids[" + std::to_string(i) + "]", request.unit_ids(i));
  *plan = request.has_plan() ? request.plan() : UsualPlan();
  CheckPlan("plan", plan, &fields);
  return fields.Finish();
}

}  // namespace

absl::Status Rollouts::Create(const rpc::Caller& caller, const CreateRolloutRequest& request, Rollout& out) {
  PEPEUNIT_RETURN_IF_ERROR(RequireMaker(caller));
  RolloutRow row;
  PEPEUNIT_RETURN_IF_ERROR(CheckRequest(request, &row.plan));
  PEPEUNIT_ASSIGN_OR_RETURN(const NodeFacts facts,
                            FindNode(store_, caller, "repo_unit_id", request.repo_unit_id(), access::Role::kReader,
                                     kItsRepository, NODE_TYPE_REPO_UNIT));
  PEPEUNIT_ASSIGN_OR_RETURN(const RepoUnit repo, store_.GetRepoUnit(facts.id));
  PEPEUNIT_RETURN_IF_ERROR(CheckConfigured(repo));
  PEPEUNIT_ASSIGN_OR_RETURN(const auto resolved, choices_.Choose(repo, request.pin()));
  PEPEUNIT_ASSIGN_OR_RETURN(const VersionFiles files, ReadVersionFiles(resolved));
  row.target = VersionOf(resolved, repo, request.follow());
  PEPEUNIT_ASSIGN_OR_RETURN(const auto units, Choose(caller, request, row.target));
  if (units.empty()) {
    return Error(absl::StatusCode::kFailedPrecondition, "NOTHING_TO_ROLL_OUT",
                 "None of the units that you maintain is at another version of this repository.");
  }
  row.repo_unit_id = repo.id();
  row.creator_id = caller.user_id.ToString();
  row.created_ms = row.since_ms = NowMs();
  if (request.preview()) {
    out = ToMessage(row, Planned(row.plan, units), NowMs());
    return ForeseeSteps(units_, units, files, out.mutable_steps());
  }
  row.id = Uuid::New().ToString();
  const Actor actor = MakerOf(caller, request, {{facts.id, access::Role::kReader, kItsRepository}});
  PEPEUNIT_ASSIGN_OR_RETURN(const Uuid made, rollouts_.CreateRollout(actor, row, units, PhasesOf(row.plan, units)));
  return Get(caller, made.ToString(), out);
}

absl::StatusOr<std::vector<RolloutCandidate>> Rollouts::Choose(const rpc::Caller& caller,
                                                               const CreateRolloutRequest& request,
                                                               const UnitVersion& to) {
  PEPEUNIT_ASSIGN_OR_RETURN(auto all, rollouts_.ListMaintainedBehind(SubjectOf(caller), to));
  if (request.unit_ids_size() == 0) return all;
  std::set<Uuid> found;
  for (const RolloutCandidate& one : all) found.insert(one.unit);
  std::set<Uuid> named;
  for (int i = 0; i < request.unit_ids_size(); ++i) {
    named.insert(*Uuid::Parse(request.unit_ids(i)));
    if (found.contains(*Uuid::Parse(request.unit_ids(i)))) continue;
    const std::string field = "unit_ids[" + std::to_string(i) + "]";
    PEPEUNIT_ASSIGN_OR_RETURN(const NodeFacts facts, FindNode(store_, caller, field, request.unit_ids(i),
                                                              access::Role::kMaintainer, "unit", NODE_TYPE_UNIT));
    PEPEUNIT_ASSIGN_OR_RETURN(const Unit unit, store_.GetUnit(facts.id));
    if (unit.version().repo_unit_id() != to.repo_unit_id())
      return InvalidField(field, "is a unit of another repository");
  }
  std::erase_if(all, [&](const RolloutCandidate& one) { return !named.contains(one.unit); });
  return all;
}

// What a rollout is to somebody: its maker steers it, and so do the maintainers of the repository.
absl::StatusOr<Rollouts::Found> Rollouts::Find(const rpc::Caller& caller, const std::string& field,
                                               const std::string& id) {
  Fields fields;
  const Uuid rollout = fields.Id(field, id);
  PEPEUNIT_RETURN_IF_ERROR(fields.Finish());
  PEPEUNIT_ASSIGN_OR_RETURN(auto read, rollouts_.GetRollout(rollout));
  Found found{std::move(read.first), std::move(read.second), {}};
  const Uuid repo = *Uuid::Parse(found.row.repo_unit_id);
  const auto facts = store_.GetFacts(repo, SubjectOf(caller));
  if (!facts.ok()) return absl::IsNotFound(facts.status()) ? NotFound(kRollout) : facts.status();
  const bool maker = !found.row.creator_id.empty() && caller.kind == rpc::Caller::Kind::kUser &&
                     found.row.creator_id == caller.user_id.ToString();
  found.need = {repo, maker ? access::Role::kReader : access::Role::kMaintainer, kItsRepository};
  if (access::RoleOf(SubjectOf(caller), facts->access) < found.need.role) return NotFound(kRollout);
  return found;
}

absl::Status Rollouts::Get(const rpc::Caller& caller, const std::string& id, Rollout& out) {
  PEPEUNIT_ASSIGN_OR_RETURN(const Found found, Find(caller, "id", id));
  out = ToMessage(found.row, found.counts, NowMs());
  return absl::OkStatus();
}

absl::Status Rollouts::List(const rpc::Caller& caller, const ListRolloutsRequest& request, ListRolloutsResponse& out) {
  PEPEUNIT_ASSIGN_OR_RETURN(const NodeFacts facts,
                            FindNode(store_, caller, "repo_unit_id", request.repo_unit_id(), access::Role::kReader,
                                     kItsRepository, NODE_TYPE_REPO_UNIT));
  const std::string list = "rollouts " + facts.id.ToString();
  PEPEUNIT_ASSIGN_OR_RETURN(const Page page, ReadPage(list, request.page_size(), request.cursor()));
  const bool all = access::RoleOf(SubjectOf(caller), facts.access) >= access::Role::kMaintainer;
  if (!all && caller.kind != rpc::Caller::Kind::kUser) return absl::OkStatus();
  PEPEUNIT_ASSIGN_OR_RETURN(auto rows, rollouts_.ListRollouts(facts.id, all ? Uuid{} : caller.user_id, page));
  std::vector<Rollout> told;
  for (const auto& [row, counts] : rows) told.push_back(ToMessage(row, counts, NowMs()));
  out.set_next_cursor(CutPage(list, page, &told));
  for (Rollout& one : told) *out.add_rollouts() = std::move(one);
  return absl::OkStatus();
}

absl::Status Rollouts::ListUnits(const rpc::Caller& caller, const ListRolloutUnitsRequest& request,
                                 ListRolloutUnitsResponse& out) {
  PEPEUNIT_ASSIGN_OR_RETURN(const Found found, Find(caller, "rollout_id", request.rollout_id()));
  if (!RolloutUnitState_IsValid(request.state())) return InvalidField("state", "is none of the states");
  const std::string list = "rollout " + found.row.id + ' ' + std::to_string(request.state());
  PEPEUNIT_ASSIGN_OR_RETURN(const Page page, ReadPage(list, request.page_size(), request.cursor()));
  PEPEUNIT_ASSIGN_OR_RETURN(
      auto rows, rollouts_.ListRolloutUnits(SubjectOf(caller), *Uuid::Parse(found.row.id), request.state(), page));
  if (rows.size() > static_cast<std::size_t>(page.limit)) {
    rows.resize(static_cast<std::size_t>(page.limit));
    out.set_next_cursor(MakeCursor(list, *Uuid::Parse(rows.back().unit_id())));
  }
  for (RolloutUnit& row : rows) *out.add_units() = std::move(row);
  return absl::OkStatus();
}

// Its maker needs no more than to read, and his token may allow no more.
absl::StatusOr<Rollouts::Found> Rollouts::FindToSteer(const rpc::Caller& caller, const std::string& id) {
  PEPEUNIT_ASSIGN_OR_RETURN(Found found, Find(caller, "id", id));
  PEPEUNIT_RETURN_IF_ERROR(RequireMaker(caller));
  return found;
}

absl::Status Rollouts::Steer(const rpc::Caller& caller, const char* action, const std::string& id,
                             const std::vector<RolloutState>& from, RolloutState next, Failures failures,
                             Rollout& out) {
  PEPEUNIT_ASSIGN_OR_RETURN(const Found found, FindToSteer(caller, id));
  const auto change = [&](RolloutRow* row) -> absl::StatusOr<Failures> {
    if (std::find(from.begin(), from.end(), row->state) == from.end()) {
      return Error(absl::StatusCode::kFailedPrecondition, "ROLLOUT_STATE",
                   "The rollout is " + NameOf(row->state) + ", so this cannot be done now.");
    }
    // After a pause the failures so far go on to count.
    const bool stopped = row->state == ROLLOUT_STATE_STOPPED;
    EnterState(next, NowMs(), "", row);
    return failures == Failures::kPassOver && !stopped ? Failures::kStay : failures;
  };
  PEPEUNIT_RETURN_IF_ERROR(
      rollouts_.ChangeRollout(ActorOf(caller, {found.need}), action, *Uuid::Parse(found.row.id), change));
  return Get(caller, id, out);
}

absl::Status Rollouts::Pause(const rpc::Caller& caller, const std::string& id, Rollout& out) {
  return Steer(caller, "rollout.pause", id, {ROLLOUT_STATE_RUNNING}, ROLLOUT_STATE_PAUSED, Failures::kStay, out);
}

absl::Status Rollouts::Resume(const rpc::Caller& caller, const std::string& id, Rollout& out) {
  return Steer(caller, "rollout.resume", id, {ROLLOUT_STATE_PAUSED, ROLLOUT_STATE_STOPPED}, ROLLOUT_STATE_RUNNING,
               Failures::kPassOver, out);
}

absl::Status Rollouts::Retry(const rpc::Caller& caller, const std::string& id, Rollout& out) {
  PEPEUNIT_ASSIGN_OR_RETURN(const Found found, FindToSteer(caller, id));
  const bool failed =
      std::any_of(found.counts.begin(), found.counts.end(), [](const auto& p) { return p.failed() > 0; });
  if (!failed) {
    return Error(absl::StatusCode::kFailedPrecondition, "NOTHING_TO_RETRY",
                 "There is nothing to try again: no unit of this rollout failed.");
  }
  return Steer(caller, "rollout.retry-failed", id,
               {ROLLOUT_STATE_RUNNING, ROLLOUT_STATE_PAUSED, ROLLOUT_STATE_STOPPED, ROLLOUT_STATE_COMPLETED},
               ROLLOUT_STATE_RUNNING, Failures::kRetry, out);
}

absl::Status Rollouts::Abort(const rpc::Caller& caller, const std::string& id, Rollout& out) {
  return Steer(caller, "rollout.abort", id, {ROLLOUT_STATE_RUNNING, ROLLOUT_STATE_PAUSED, ROLLOUT_STATE_STOPPED},
               ROLLOUT_STATE_ABORTED, Failures::kStay, out);
}

absl::Status Rollouts::RollBack(const rpc::Caller& caller, const std::string& id, Rollout& out) {
  return Steer(caller, "rollout.roll-back", id,
               {ROLLOUT_STATE_RUNNING, ROLLOUT_STATE_PAUSED, ROLLOUT_STATE_STOPPED, ROLLOUT_STATE_COMPLETED,
                ROLLOUT_STATE_ABORTED, ROLLOUT_STATE_SUPERSEDED},
               ROLLOUT_STATE_ROLLING_BACK, Failures::kStay, out);
}

}  // namespace pepeunit::graph_registry
