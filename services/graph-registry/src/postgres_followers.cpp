#include "pepeunit/base/errors.h"
#include "postgres_store.h"
#include "rows.h"

// Units that follow their repository: whose turn it is, which are behind, and why they stay there.
namespace pepeunit::graph_registry {
namespace {

constexpr int kUnitsAtOnce = 1'000;

}  // namespace

absl::StatusOr<std::optional<FollowTurn>> PostgresStore::TakeFollowTurn() {
  using Taken = std::optional<FollowTurn>;
  return pool_.Query<Taken>("take follow turn", [](pqxx::work& tx) -> absl::StatusOr<Taken> {
    const auto rows = tx.exec(
        "UPDATE repo_unit SET follow_turn = now() + interval '30 seconds' WHERE id = (SELECT id FROM repo_unit"
        " WHERE follow_due IS NOT NULL AND follow_turn <= now() ORDER BY follow_turn LIMIT 1 FOR UPDATE SKIP LOCKED)"
        " RETURNING id, follow_after, follow_due");
    if (rows.empty()) return Taken();
    const auto& row = rows[0];
    return FollowTurn{ReadUuid(row[0]), row[1].is_null() ? Uuid{} : ReadUuid(row[1]), row[2].as<std::int64_t>()};
  });
}

absl::Status PostgresStore::EndFollowTurn(const FollowTurn& turn, const Uuid& after, std::chrono::milliseconds wait) {
  return pool_.Transact("end follow turn", [&](pqxx::work& tx) {
    const std::string id = turn.repo_unit.ToString();
    tx.exec_params("UPDATE repo_unit SET follow_turn = now() + make_interval(secs => $2::float8 / 1000) WHERE id = $1",
                   id, wait.count());
    // Another sync that came meanwhile begins at the first unit.
    const bool done = after.IsNil() && wait.count() == 0;
    tx.exec_params(
        "UPDATE repo_unit SET follow_due = CASE WHEN $3 THEN NULL ELSE follow_due END,"
        " follow_after = nullif($4::uuid, $5::uuid) WHERE id = $1 AND follow_due = $2",
        id, turn.due, done, after.ToString(), Uuid().ToString());
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<Uuid>> PostgresStore::ListBehind(const Uuid& repo_unit, const std::string& branch,
                                                            const std::string& commit, const Page& page) {
  using Rows = std::vector<Uuid>;
  return pool_.Query<Rows>("list behind", [&](pqxx::work& tx) -> absl::StatusOr<Rows> {
    Rows rows;
    for (const auto& row : tx.exec_params(
             "SELECT id FROM unit WHERE repo_unit_id = $1 AND id > $2 AND follow AND (commit_id <> $3 OR branch <> $4)"
             " ORDER BY id LIMIT $5",
             repo_unit.ToString(), page.after.ToString(), commit, branch, page.limit)) {
      rows.push_back(ReadUuid(row[0]));
    }
    return rows;
  });
}

absl::Status PostgresStore::SetFollowProblem(const Uuid& repo_unit, const Uuid& unit,
                                             const graph::v1::FollowProblem& problem) {
  return InPieces("set follow problem", [&](pqxx::work& tx) {
    const std::string one = unit.IsNil() ? "" : " AND id = " + tx.quote(unit.ToString()) + "::uuid";
    return tx.exec_params(
        "UPDATE unit SET follow_problem = $2, follow_problem_at = now() WHERE id IN (SELECT id FROM unit"
        " WHERE repo_unit_id = $1 AND follow AND follow_problem IS DISTINCT FROM $2" +
            one + " ORDER BY id LIMIT " + std::to_string(kUnitsAtOnce) + " FOR NO KEY UPDATE)",
        repo_unit.ToString(), pqxx::binarystring(problem.SerializeAsString()));
  });
}

absl::Status PostgresStore::ClearFollowProblems(const Uuid& repo_unit, const std::string& branch,
                                                const std::string& commit) {
  return InPieces("clear follow problems", [&](pqxx::work& tx) {
    return tx.exec_params(
        "UPDATE unit SET follow_problem = NULL WHERE id IN (SELECT id FROM unit WHERE repo_unit_id = $1"
        " AND follow_problem IS NOT NULL AND commit_id = $2 AND branch = $3 ORDER BY id LIMIT " +
            std::to_string(kUnitsAtOnce) + " FOR NO KEY UPDATE)",
        repo_unit.ToString(), commit, branch);
  });
}

// Until no row is left that it changes.
absl::Status PostgresStore::InPieces(const char* name, const std::function<pqxx::result(pqxx::work&)>& update) {
  for (;;) {
    const auto changed = pool_.Query<std::int64_t>(name, [&](pqxx::work& tx) -> absl::StatusOr<std::int64_t> {
      return static_cast<std::int64_t>(update(tx).affected_rows());
    });
    if (!changed.ok()) return changed.status();
    if (*changed < kUnitsAtOnce) return absl::OkStatus();
  }
}

}  // namespace pepeunit::graph_registry
