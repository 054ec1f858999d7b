#pragma once

#include "pepeunit/postgres/pool.h"
#include "rollout_store.h"

namespace pepeunit::graph_registry {

// Rollouts in PostgreSQL.
class PostgresRollouts final : public RolloutStore {
 public:
  explicit PostgresRollouts(postgres::Pool& pool) : pool_(pool) {}

  absl::StatusOr<std::vector<RolloutCandidate>> ListFollowersBehind(const graph::v1::UnitVersion& to) override;
  absl::StatusOr<std::vector<RolloutCandidate>> ListMaintainedBehind(const access::Subject& subject,
                                                                     const graph::v1::UnitVersion& to) override;
  absl::StatusOr<Uuid> CreateRollout(const Actor& actor, const RolloutRow& row,
                                     const std::vector<RolloutCandidate>& units,
                                     const std::vector<int>& phases) override;
  absl::StatusOr<std::pair<RolloutRow, PhaseCounts>> GetRollout(const Uuid& id) override;
  absl::StatusOr<std::vector<std::pair<RolloutRow, PhaseCounts>>> ListRollouts(const Uuid& repo_unit,
                                                                               const Uuid& creator,
                                                                               const Page& page) override;
  absl::StatusOr<std::optional<RolloutRow>> NewestOfFollowers(const Uuid& repo_unit) override;
  absl::Status Supersede(const Uuid& repo_unit) override;
  absl::StatusOr<std::vector<graph::v1::RolloutUnit>> ListRolloutUnits(const access::Subject& viewer,
                                                                       const Uuid& rollout,
                                                                       graph::v1::RolloutUnitState state,
                                                                       const Page& page) override;
  absl::Status ChangeRollout(const Actor& actor, const char* action, const Uuid& id, const Change& change) override;
  absl::StatusOr<std::optional<RolloutTurn>> TakeTurn() override;
  absl::StatusOr<bool> SaveTurn(RolloutRow* row) override;
  absl::Status EndTurn(const Uuid& rollout, bool moved, std::chrono::milliseconds wait) override;
  absl::StatusOr<std::vector<RolloutMember>> ListWaiting(const Uuid& rollout, int phase, int limit) override;
  absl::StatusOr<std::vector<RolloutMember>> ListMoved(const Uuid& rollout, int limit) override;
  absl::Status SetUnitState(const Uuid& rollout, const Uuid& unit, graph::v1::RolloutUnitState state,
                            const std::string& reason) override;
  absl::StatusOr<graph::v1::RolloutState> StateOf(const Uuid& rollout) override;

 private:
  absl::StatusOr<std::vector<RolloutMember>> ListMembers(const char* name, const std::string& condition,
                                                         const Uuid& rollout, int limit);

  postgres::Pool& pool_;
};

}  // namespace pepeunit::graph_registry
