#include "postgres_updates.h"

#include "ask_again.h"
#include "pepeunit/base/errors.h"
#include "unit_events.h"
#include "update_rows.h"
#include "writes.h"

namespace pepeunit::graph_registry {

absl::Status PostgresUpdates::ChangeUpdate(const Actor& actor, const char* action, const Uuid& unit,
                                           const Change& change) {
  return TransactWithEvents(pool_, relay_, nullptr, action, [&](pqxx::work& tx) -> absl::Status {
    if (!actor.user.IsNil()) PEPEUNIT_RETURN_IF_ERROR(AskAgain(tx, actor));
    const std::string id = unit.ToString();
    // The node first, as every change of a unit does.
    const auto rows = tx.exec_params(
        "SELECT u.commit_id FROM node n JOIN unit u USING (id) WHERE n.id = $1 FOR NO KEY UPDATE OF n", id);
    if (rows.empty()) return NotFound("unit");
    const UpdateRow before = LockUpdate(tx, id);
    UpdateRow after = before;
    PEPEUNIT_RETURN_IF_ERROR(change(rows[0][0].c_str(), &after));
    if (after == before) return absl::OkStatus();
    WriteUpdate(tx, id, after);
    if (after.offered != before.offered || after.attempt != before.attempt) AppendUnitChanged(tx, id);
    if (!actor.user.IsNil()) Audit(tx, actor, action, id, {{"commit", rows[0][0].c_str()}});
    return absl::OkStatus();
  });
}

absl::StatusOr<UpdateRow> PostgresUpdates::GetUpdate(const Uuid& unit) {
  return pool_.Query<UpdateRow>("get update", [&](pqxx::work& tx) -> absl::StatusOr<UpdateRow> {
    const auto rows =
        tx.exec_params("SELECT " + UpdateColumns("w") + " FROM unit_update w WHERE id = $1", unit.ToString());
    if (rows.empty()) return NotFound("unit");
    Columns columns(rows[0]);
    return ReadUpdate(columns);
  });
}

absl::StatusOr<std::vector<Uuid>> PostgresUpdates::ListSilent(const UpdateTimeouts& timeouts, int limit) {
  using Ids = std::vector<Uuid>;
  return pool_.Query<Ids>("list silent", [&](pqxx::work& tx) -> absl::StatusOr<Ids> {
    Ids ids;
    for (const auto& row : tx.exec_params(
             "SELECT id FROM unit_update WHERE state BETWEEN 2 AND 5 AND heard_at <= now() - make_interval(secs =>"
             " CASE WHEN state = $1 THEN $2::bigint ELSE $3::bigint END / 1000.0) ORDER BY heard_at LIMIT $4",
             static_cast<int>(graph::v1::UPDATE_STATE_OFFERED), timeouts.deadline_ms, timeouts.silence_ms, limit)) {
      ids.push_back(ReadUuid(row[0]));
    }
    return ids;
  });
}

}  // namespace pepeunit::graph_registry
