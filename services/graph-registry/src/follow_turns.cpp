#include "follow_turns.h"

#include "pepeunit/base/log.h"

namespace pepeunit::graph_registry {
namespace {

constexpr int kAtOnce = 20;  // units of one turn, each a transaction
constexpr std::chrono::milliseconds kUntilAgain{2'000};

}  // namespace

absl::StatusOr<bool> FollowTurns::Take() {
  PEPEUNIT_ASSIGN_OR_RETURN(const auto turn, store_.TakeFollowTurn());
  if (!turn) return false;
  const auto after = followers_.Follow(turn->repo_unit, turn->after, kAtOnce);
  if (!after.ok()) {
    log::Warning("units that follow wait", {{"repo_unit", turn->repo_unit.ToString()}, {"status", after.status()}});
    PEPEUNIT_RETURN_IF_ERROR(store_.EndFollowTurn(*turn, turn->after, kUntilAgain));
    return true;
  }
  PEPEUNIT_RETURN_IF_ERROR(store_.EndFollowTurn(*turn, *after, std::chrono::milliseconds(0)));
  return true;
}

}  // namespace pepeunit::graph_registry
