#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "rollout.h"
#include "store.h"

namespace pepeunit::graph_registry {

// A unit that may go with a rollout.
struct RolloutCandidate {
  Uuid unit;
  std::string group;
  graph::v1::UnitVersion from;
};

struct RolloutMember {
  Uuid unit;
  graph::v1::UnitVersion from;
};

// A rollout in which something may happen, with all that it is decided by.
struct RolloutTurn {
  RolloutRow row;
  PhaseCounts counts;
  Actor creator{};            // as he is now, without needs; nil user: the instance itself
  bool creator_gone = false;  // deleted or blocked
};

// Most units of one rollout.
inline constexpr int kMostRolloutUnits = 100'000;

// Where rollouts are kept. Each call is one transaction. Thread-safe.
class RolloutStore {
 public:
  virtual ~RolloutStore() = default;

  // Units that follow the repository and do not stand at this version; those with a device first, else in no order that
  // anything can be told by. At most kMostRolloutUnits.
  virtual absl::StatusOr<std::vector<RolloutCandidate>> ListFollowersBehind(const graph::v1::UnitVersion& to) = 0;
  // The same of all units of its repository that the subject maintains, whether they follow or not, but for those that
  // stand at exactly this version.
  virtual absl::StatusOr<std::vector<RolloutCandidate>> ListMaintainedBehind(const access::Subject& subject,
                                                                             const graph::v1::UnitVersion& to) = 0;

  // `phases` are those of the units. One of units that follow takes the place of all others of its repository that have
  // not ended, and is paused if one of them was. The id of what was made, see GraphStore::CreateRepoUnit.
  virtual absl::StatusOr<Uuid> CreateRollout(const Actor& actor, const RolloutRow& row,
                                             const std::vector<RolloutCandidate>& units,
                                             const std::vector<int>& phases) = 0;
  virtual absl::StatusOr<std::pair<RolloutRow, PhaseCounts>> GetRollout(const Uuid& id) = 0;
  // Of a repository, newest first; `creator` nil: of all. One more than the page when there is a next one.
  virtual absl::StatusOr<std::vector<std::pair<RolloutRow, PhaseCounts>>> ListRollouts(const Uuid& repo_unit,
                                                                                       const Uuid& creator,
                                                                                       const Page& page) = 0;
  // The newest one of units that follow the repository.
  virtual absl::StatusOr<std::optional<RolloutRow>> NewestOfFollowers(const Uuid& repo_unit) = 0;
  // Ends those of units that follow which have not ended: a newer version goes to all.
  virtual absl::Status Supersede(const Uuid& repo_unit) = 0;
  // Those that the viewer may see, by id; in this state, if one is given.
  virtual absl::StatusOr<std::vector<graph::v1::RolloutUnit>> ListRolloutUnits(const access::Subject& viewer,
                                                                               const Uuid& rollout,
                                                                               graph::v1::RolloutUnitState state,
                                                                               const Page& page) = 0;

  // What becomes of the units that failed when somebody changes the rollout.
  enum class Failures { kStay, kPassOver, kRetry };
  using Change = std::function<absl::StatusOr<Failures>(RolloutRow* row)>;
  // Changes the row while nobody else does. `action` goes into the audit of the repository.
  virtual absl::Status ChangeRollout(const Actor& actor, const char* action, const Uuid& id, const Change& change) = 0;

  // Of the rollouts in which something may happen the one that has waited longest, with the states of its units brought
  // up to date; nobody else gets it for half a minute, or until EndTurn. nullopt when there is none.
  virtual absl::StatusOr<std::optional<RolloutTurn>> TakeTurn() = 0;
  // Writes the row if nobody changed it since it was read; false when somebody did.
  virtual absl::StatusOr<bool> SaveTurn(RolloutRow* row) = 0;
  // `moved`: units of it were.
  virtual absl::Status EndTurn(const Uuid& rollout, bool moved, std::chrono::milliseconds wait) = 0;
  // Units of phases up to this one whose turn has come.
  virtual absl::StatusOr<std::vector<RolloutMember>> ListWaiting(const Uuid& rollout, int phase, int limit) = 0;
  // Units that it moved and that still stand where it moved them.
  virtual absl::StatusOr<std::vector<RolloutMember>> ListMoved(const Uuid& rollout, int limit) = 0;
  // What became of a unit.
  virtual absl::Status SetUnitState(const Uuid& rollout, const Uuid& unit, graph::v1::RolloutUnitState state,
                                    const std::string& reason) = 0;
  virtual absl::StatusOr<graph::v1::RolloutState> StateOf(const Uuid& rollout) = 0;
};

}  // namespace pepeunit::graph_registry
