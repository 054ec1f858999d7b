#include "rollout_turns.h"

#include "follow_problem.h"
#include "pepeunit/base/clock.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/base/log.h"
#include "version_files.h"

namespace pepeunit::graph_registry {
namespace {

using namespace graph::v1;

constexpr int kAtOnce = 20;  // units of one turn, each a transaction
constexpr std::chrono::milliseconds kUntilAgain{2'000};

// How long nobody looks whether units succeeded: longer where that is more work.
std::chrono::milliseconds Patience(const PhaseCounts& counts) {
  std::int64_t units = 0;
  for (const auto& phase : counts) units += phase.units() - phase.waiting();
  return std::chrono::milliseconds(500 + units / 5);
}

// Whoever made the rollout, with the rights that he has on this unit now; or the instance for units that follow.
Actor MoverOf(const RolloutTurn& turn, const Uuid& unit) {
  if (turn.row.creator_id.empty()) return {};
  Actor actor = turn.creator;
  actor.needs = {{unit, access::Role::kMaintainer, "unit"},
                 {*Uuid::Parse(turn.row.repo_unit_id), access::Role::kReader, "repository"}};
  return actor;
}

}  // namespace

absl::StatusOr<bool> RolloutTurns::Take() {
  PEPEUNIT_ASSIGN_OR_RETURN(auto turn, rollouts_.TakeTurn());
  if (!turn) return false;
  const Uuid id = *Uuid::Parse(turn->row.id);
  const auto done = Run(&*turn);
  if (!done.ok()) {
    log::Warning("a rollout waits", {{"rollout", turn->row.id}, {"status", done.status()}});
    PEPEUNIT_RETURN_IF_ERROR(rollouts_.EndTurn(id, true, kUntilAgain));
    return true;
  }
  PEPEUNIT_RETURN_IF_ERROR(rollouts_.EndTurn(id, done->moved, done->wait));
  return true;
}

absl::StatusOr<RolloutTurns::Done> RolloutTurns::Run(RolloutTurn* turn) {
  RolloutRow& row = turn->row;
  if (row.state == ROLLOUT_STATE_ROLLING_BACK) return MoveBack(turn);
  if (turn->creator_gone && !HasEnded(row.state)) {
    EnterState(ROLLOUT_STATE_ABORTED, NowMs(), "Who made it has no account any more, or is blocked.", &row);
    PEPEUNIT_RETURN_IF_ERROR(rollouts_.SaveTurn(&row).status());
    return Done{};
  }
  if (row.state != ROLLOUT_STATE_RUNNING) return Done{false, Patience(turn->counts)};
  RolloutStep step = RolloutStep::kChanged;
  bool changed = false;
  while (row.state == ROLLOUT_STATE_RUNNING && step == RolloutStep::kChanged) {
    step = Advance(turn->counts, NowMs(), &row);
    changed = changed || step == RolloutStep::kChanged;
  }
  if (changed) {
    PEPEUNIT_ASSIGN_OR_RETURN(const bool saved, rollouts_.SaveTurn(&row));
    if (!saved) return Done{};
    log::Info("a rollout goes on", {{"rollout", row.id},
                                    {"state", RolloutState_Name(row.state)},
                                    {"phase", row.phase + 1},
                                    {"reason", row.reason}});
  }
  if (step == RolloutStep::kMove) return MoveOn(*turn);
  return Done{false, Patience(turn->counts)};
}

absl::StatusOr<RolloutTurns::Done> RolloutTurns::MoveOn(const RolloutTurn& turn) {
  const Uuid id = *Uuid::Parse(turn.row.id);
  PEPEUNIT_ASSIGN_OR_RETURN(const auto waiting, rollouts_.ListWaiting(id, turn.row.phase, kAtOnce));
  const auto files = FilesOf(turn.row.target);
  if (Passes(files.status())) return files.status();
  Done done;
  for (const RolloutMember& member : waiting) {
    // Whoever paused it wants no further unit moved.
    PEPEUNIT_ASSIGN_OR_RETURN(const RolloutState now, rollouts_.StateOf(id));
    if (now != ROLLOUT_STATE_RUNNING) return done;
    const absl::Status status = files.ok() ? MoveOne(turn, member, *files) : files.status();
    if (Passes(status)) return status;
    done.moved = true;
    if (status.ok() || absl::IsNotFound(status)) continue;
    log::Warning("a unit stays where it is", {{"unit", member.unit.ToString()}, {"status", status}});
    PEPEUNIT_RETURN_IF_ERROR(rollouts_.SetUnitState(id, member.unit, ROLLOUT_UNIT_STATE_FAILED, DetailOf(status)));
  }
  return done;
}

absl::Status RolloutTurns::MoveOne(const RolloutTurn& turn, const RolloutMember& member, const VersionFiles& files) {
  const Actor actor = MoverOf(turn, member.unit);
  const bool follows = turn.row.creator_id.empty();
  std::string skipped;
  bool stood_there = false;
  const auto may = [&](const Unit& unit) {
    const auto& at = unit.version();
    stood_there = at.commit() == turn.row.target.commit();
    skipped = follows && !at.follow()                               ? "It does not follow any more."
              : !stood_there && at.commit() != member.from.commit() ? "It was moved elsewhere meanwhile."
                                                                    : "";
    return skipped.empty();
  };
  PEPEUNIT_RETURN_IF_ERROR(units_.MoveTo(actor, member.unit, turn.row.target, files, may));
  const Uuid id = *Uuid::Parse(turn.row.id);
  if (!skipped.empty()) return rollouts_.SetUnitState(id, member.unit, ROLLOUT_UNIT_STATE_SKIPPED, skipped);
  if (stood_there) PEPEUNIT_RETURN_IF_ERROR(updates_.OfferAgain(actor, member.unit));
  return rollouts_.SetUnitState(id, member.unit, ROLLOUT_UNIT_STATE_UNDER_WAY, "");
}

absl::StatusOr<RolloutTurns::Done> RolloutTurns::MoveBack(RolloutTurn* turn) {
  const Uuid id = *Uuid::Parse(turn->row.id);
  PEPEUNIT_ASSIGN_OR_RETURN(const auto moved, rollouts_.ListMoved(id, kAtOnce));
  if (moved.empty()) {
    EnterState(ROLLOUT_STATE_ROLLED_BACK, NowMs(), "", &turn->row);
    PEPEUNIT_RETURN_IF_ERROR(rollouts_.SaveTurn(&turn->row).status());
    return Done{};
  }
  for (const RolloutMember& member : moved) {
    const absl::Status status = MoveOneBack(*turn, member);
    if (Passes(status)) return status;
    if (absl::IsNotFound(status)) continue;  // deleted meanwhile
    const auto state = status.ok() ? ROLLOUT_UNIT_STATE_MOVED_BACK : ROLLOUT_UNIT_STATE_SKIPPED;
    const std::string reason = status.ok() ? "" : "It could not be moved back: " + DetailOf(status);
    PEPEUNIT_RETURN_IF_ERROR(rollouts_.SetUnitState(id, member.unit, state, reason));
  }
  return Done{true};
}

absl::Status RolloutTurns::MoveOneBack(const RolloutTurn& turn, const RolloutMember& member) {
  PEPEUNIT_ASSIGN_OR_RETURN(const VersionFiles files, FilesOf(member.from));
  return units_.MoveTo(MoverOf(turn, member.unit), member.unit, member.from, files,
                       [&](const Unit& unit) { return unit.version().commit() == turn.row.target.commit(); });
}

absl::StatusOr<VersionFiles> RolloutTurns::FilesOf(const UnitVersion& version) {
  PEPEUNIT_ASSIGN_OR_RETURN(const graph::v1::RepoUnit repo, store_.GetRepoUnit(*Uuid::Parse(version.repo_unit_id())));
  repo::v1::ResolveVersionRequest ask = AskFor(repo);
  ask.set_commit(version.commit());
  const auto resolved = versions_.Resolve(ask);
  if (absl::IsNotFound(resolved.status())) {
    return Error(absl::StatusCode::kFailedPrecondition, "NOT_CONFIGURED",
                 "The repository does not hold the version " + version.commit() + " any more.");
  }
  if (!resolved.ok()) return resolved.status();
  return ReadVersionFiles(*resolved);
}

}  // namespace pepeunit::graph_registry
