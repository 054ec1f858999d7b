#include "postgres_rollouts.h"

#include "ask_again.h"
#include "pepeunit/base/bytes.h"
#include "pepeunit/base/clock.h"
#include "pepeunit/base/errors.h"
#include "rows.h"
#include "update_rows.h"
#include "visibility.h"
#include "writes.h"

namespace pepeunit::graph_registry {
namespace {

using namespace graph::v1;
using RowAndCounts = std::pair<RolloutRow, PhaseCounts>;

std::string Number(int state) { return std::to_string(state); }

std::string RolloutColumns() {
  return "r.id, r.repo_unit_id, coalesce(r.creator_id::text, ''), r.target, r.plan, r.state, " + MsOf("r.since") +
         ", r.reason, r.phase, coalesce(" + MsOf("r.reached_at") + ", 0), r.version, " + MsOf("r.created_at");
}

RolloutRow ReadRollout(Columns& columns) {
  RolloutRow row;
  row.id = columns.Next().c_str();
  row.repo_unit_id = columns.Next().c_str();
  row.creator_id = columns.Next().c_str();
  row.target.ParseFromString(ReadBytes(columns.Next()));
  row.plan.ParseFromString(ReadBytes(columns.Next()));
  row.state = static_cast<RolloutState>(columns.Next().as<int>());
  row.since_ms = columns.Next().as<std::int64_t>();
  row.reason = columns.Next().c_str();
  row.phase = columns.Next().as<int>();
  row.reached_ms = columns.Next().as<std::int64_t>();
  row.version = columns.Next().as<std::int64_t>();
  row.created_ms = columns.Next().as<std::int64_t>();
  return row;
}

void WriteRollout(pqxx::work& tx, const RolloutRow& row) {
  tx.exec_params(
      "UPDATE rollout SET state = $2, since = to_timestamp($3::bigint / 1000.0), reason = $4, phase = $5, reached_at ="
      " CASE WHEN $6::bigint > 0 THEN to_timestamp($6 / 1000.0) END, version = version + 1 WHERE id = $1",
      row.id, static_cast<int>(row.state), row.since_ms, row.reason, row.phase, row.reached_ms);
  // Units that began to follow meanwhile, or could not be moved, go after those that went in phases.
  if (row.state == ROLLOUT_STATE_COMPLETED && row.creator_id.empty()) {
    tx.exec_params("UPDATE repo_unit SET follow_due = sync_time_ms, follow_after = NULL WHERE id = $1",
                   row.repo_unit_id);
  }
}

void AddCount(RolloutUnitState state, bool passed_over, std::int32_t count, RolloutPhaseProgress* phase) {
  phase->set_units(phase->units() + count);
  switch (state) {
    case ROLLOUT_UNIT_STATE_WAITING:
      return phase->set_waiting(count);
    case ROLLOUT_UNIT_STATE_UNDER_WAY:
      return phase->set_under_way(count);
    case ROLLOUT_UNIT_STATE_SUCCEEDED:
      return phase->set_succeeded(count);
    case ROLLOUT_UNIT_STATE_FAILED:
      phase->set_failed(phase->failed() + count);
      if (passed_over) phase->set_failed_passed_over(count);
      return;
    case ROLLOUT_UNIT_STATE_SKIPPED:
      return phase->set_skipped(count);
    case ROLLOUT_UNIT_STATE_WITHOUT_DEVICE:
      return phase->set_without_device(count);
    case ROLLOUT_UNIT_STATE_MOVED_BACK:
      return phase->set_moved_back(count);
    default:
      return;
  }
}

PhaseCounts CountUnits(pqxx::work& tx, const RolloutRow& row) {
  PhaseCounts counts(static_cast<std::size_t>(row.plan.phases_size()));
  // Whether a unit that failed counts matters of those alone.
  for (const auto& found : tx.exec_params(
           "SELECT phase, state, passed_over AND state = $2, count(*) FROM rollout_unit WHERE rollout_id = $1"
           " GROUP BY 1, 2, 3",
           row.id, static_cast<int>(ROLLOUT_UNIT_STATE_FAILED))) {
    const auto phase = found[0].as<std::size_t>();
    if (phase >= counts.size()) continue;
    AddCount(static_cast<RolloutUnitState>(found[1].as<int>()), found[2].as<bool>(), found[3].as<std::int32_t>(),
             &counts[phase]);
  }
  return counts;
}

// Brings the states of units that were moved up to date with what became of them: whether one of them changed. A unit
// that somebody moved elsewhere is out of it, but what it came to before that stays so.
bool Refresh(pqxx::work& tx, const std::string& rollout) {
  const auto is = [](int state) { return Number(state); };
  const std::string over = is(UPDATE_STATE_ROLLED_BACK) + ", " + is(UPDATE_STATE_TIMED_OUT);
  const std::string moved = is(ROLLOUT_UNIT_STATE_UNDER_WAY) + ", " + is(ROLLOUT_UNIT_STATE_SUCCEEDED) + ", " +
                            is(ROLLOUT_UNIT_STATE_FAILED) + ", " + is(ROLLOUT_UNIT_STATE_WITHOUT_DEVICE);
  const auto changed = tx.exec_params(
      "UPDATE rollout_unit m SET state = s.state, since = now(), reason = s.reason FROM ("
      " SELECT m.unit_id, w.reason AS told, CASE"
      " WHEN u.commit_id <> r.commit_id THEN CASE WHEN m.state IN (" +
          is(ROLLOUT_UNIT_STATE_SUCCEEDED) + ", " + is(ROLLOUT_UNIT_STATE_FAILED) + ") THEN m.state ELSE " +
          is(ROLLOUT_UNIT_STATE_SKIPPED) + " END WHEN w.state = " + is(UPDATE_STATE_CONFIRMED) + " THEN " +
          is(ROLLOUT_UNIT_STATE_SUCCEEDED) + " WHEN w.state = " + is(UPDATE_STATE_UNKNOWN) + " THEN " +
          is(ROLLOUT_UNIT_STATE_WITHOUT_DEVICE) + " WHEN w.state IN (" + over +
          ") OR (w.state = " + is(UPDATE_STATE_FAILED) + " AND NOT w.offered) THEN " + is(ROLLOUT_UNIT_STATE_FAILED) +
          " ELSE " + is(ROLLOUT_UNIT_STATE_UNDER_WAY) +
          " END AS state, CASE WHEN u.commit_id <> r.commit_id THEN 'It was moved elsewhere meanwhile.'"
          " WHEN w.state = " +
          is(UPDATE_STATE_CONFIRMED) +
          " THEN '' ELSE w.reason END AS reason"
          " FROM rollout r JOIN rollout_unit m ON m.rollout_id = r.id JOIN unit u ON u.id = m.unit_id"
          " JOIN unit_update w ON w.id = m.unit_id WHERE r.id = $1 AND m.state IN (" +
          moved + ")) s WHERE m.rollout_id = $1 AND m.unit_id = s.unit_id AND m.state <> s.state",
      rollout);
  return changed.affected_rows() > 0;
}

std::vector<RolloutCandidate> ReadCandidates(const pqxx::result& rows) {
  std::vector<RolloutCandidate> candidates;
  for (const auto& row : rows) {
    Columns columns(row);
    auto& one = candidates.emplace_back();
    one.unit = ReadUuid(columns.Next());
    one.group = columns.Next().c_str();
    one.from = ReadVersion(columns).value_or(UnitVersion());
  }
  return candidates;
}

// With a device first, for the first phases are there to show whether devices take the version; else mixed, and in
// another way for each version, so that it is not always the same units that go first.
std::string InMixedOrder(const std::string& commit) {
  return " ORDER BY w.running_commit = '', md5(u.id::text || " + commit + ") LIMIT " +
         std::to_string(kMostRolloutUnits);
}

void InsertUnits(pqxx::work& tx, const std::string& rollout, const std::vector<RolloutCandidate>& units,
                 const std::vector<int>& phases) {
  Array ids, numbers, versions;
  for (std::size_t i = 0; i < units.size(); ++i) {
    ids.Add(units[i].unit.ToString());
    numbers.Add(std::to_string(phases[i]));
    versions.Add(HexEncode(AsBytes(units[i].from.SerializeAsString())));
  }
  // One that was deleted meanwhile stays out.
  tx.exec_params(
      "INSERT INTO rollout_unit (rollout_id, unit_id, phase, from_version)"
      " SELECT $1, v.id, v.phase, decode(v.version, 'hex')"
      " FROM unnest($2::uuid[], $3::smallint[], $4::text[]) AS v (id, phase, version) JOIN unit u USING (id)",
      rollout, ids.str(), numbers.str(), versions.str());
}

// A newer version takes the place of those on their way: whether one of them was paused.
bool SupersedeAll(pqxx::work& tx, const std::string& repo_unit) {
  const auto ended = tx.exec_params(
      "UPDATE rollout r SET state = $2, since = now(), reason = 'A newer version came.', version = r.version + 1"
      " FROM (SELECT id, state FROM rollout WHERE repo_unit_id = $1 AND creator_id IS NULL AND state IN ($3, $4, $5)"
      " FOR UPDATE) before WHERE r.id = before.id RETURNING before.state = $4",
      repo_unit, static_cast<int>(ROLLOUT_STATE_SUPERSEDED), static_cast<int>(ROLLOUT_STATE_RUNNING),
      static_cast<int>(ROLLOUT_STATE_PAUSED), static_cast<int>(ROLLOUT_STATE_STOPPED));
  bool paused = false;
  for (const auto& row : ended) paused = paused || row[0].as<bool>();
  return paused;
}

}  // namespace

absl::StatusOr<std::vector<RolloutCandidate>> PostgresRollouts::ListFollowersBehind(const UnitVersion& to) {
  using Rows = std::vector<RolloutCandidate>;
  return pool_.Query<Rows>("list followers", [&](pqxx::work& tx) -> absl::StatusOr<Rows> {
    return ReadCandidates(
        tx.exec_params("SELECT u.id, u.rollout_group, " + VersionColumns("u") +
                           " FROM unit u JOIN unit_update w USING (id) WHERE u.repo_unit_id = $1 AND u.follow"
                           " AND (u.commit_id <> $2 OR u.branch <> $3)" +
                           InMixedOrder("$2"),
                       to.repo_unit_id(), to.commit(), to.branch()));
  });
}

absl::StatusOr<std::vector<RolloutCandidate>> PostgresRollouts::ListMaintainedBehind(const access::Subject& subject,
                                                                                     const UnitVersion& to) {
  using Rows = std::vector<RolloutCandidate>;
  postgres::Params params;
  // Nobody maintains by a level alone: this leaves few of a popular repository's units for the decision.
  const std::string grant = GrantTo(params, "n", subject);
  const std::string own =
      subject.administrator ? "" : " AND (n.owner_id = " + params.Id(subject.id) + " OR " + grant + " > 0)";
  const std::string query =
      "SELECT " + FactColumns("n", "p", grant) + ", u.id, u.rollout_group, " + VersionColumns("u") +
      " FROM unit u JOIN node n USING (id) LEFT JOIN node p ON p.id = n.parent_id JOIN unit_update w ON w.id = u.id"
      " WHERE u.repo_unit_id = " +
      params.Id(*Uuid::Parse(to.repo_unit_id())) + " AND (u.commit_id, u.tag, u.branch, u.follow) <> (" +
      params.Text(to.commit()) + ", " + params.Text(to.tag()) + ", " + params.Text(to.branch()) + ", " +
      (to.follow() ? "true" : "false") + ")" + own + InMixedOrder(params.Text(to.commit()));
  return pool_.Read<Rows>("list maintained", query, params, [&](const pqxx::result& result) -> absl::StatusOr<Rows> {
    Rows rows;
    for (const auto& row : result) {
      Columns columns(row);
      const NodeFacts facts = ReadFacts(columns);
      if (access::RoleOf(subject, facts.access) < access::Role::kMaintainer) continue;
      auto& one = rows.emplace_back();
      one.unit = ReadUuid(columns.Next());
      one.group = columns.Next().c_str();
      one.from = ReadVersion(columns).value_or(UnitVersion());
    }
    return rows;
  });
}

absl::StatusOr<Uuid> PostgresRollouts::CreateRollout(const Actor& actor, const RolloutRow& row,
                                                     const std::vector<RolloutCandidate>& units,
                                                     const std::vector<int>& phases) {
  return pool_.Query<Uuid>("create rollout", [&](pqxx::work& tx) -> absl::StatusOr<Uuid> {
    PEPEUNIT_RETURN_IF_ERROR(AskAgain(tx, actor));
    PEPEUNIT_ASSIGN_OR_RETURN(const auto before, MadeBefore(tx, actor, row.id));
    if (before) return *before;
    const bool follow = row.creator_id.empty();
    // One replica at a time makes those of a repository.
    if (tx.exec_params("SELECT 1 FROM repo_unit WHERE id = $1 FOR UPDATE", row.repo_unit_id).empty())
      return NotFound("repository");
    const bool paused = follow && SupersedeAll(tx, row.repo_unit_id);
    tx.exec_params(
        "INSERT INTO rollout (id, repo_unit_id, creator_id, target, commit_id, plan, state, reason)"
        " VALUES ($1, $2, nullif($3, '')::uuid, $4, $5, $6, $7, $8)",
        row.id, row.repo_unit_id, row.creator_id, pqxx::binarystring(row.target.SerializeAsString()),
        row.target.commit(), pqxx::binarystring(row.plan.SerializeAsString()),
        static_cast<int>(paused ? ROLLOUT_STATE_PAUSED : ROLLOUT_STATE_RUNNING),
        paused ? "The rollout of the version before was paused." : "");
    InsertUnits(tx, row.id, units, phases);
    Audit(tx, actor, "rollout.create", row.repo_unit_id,
          {{"rollout_id", row.id}, {"commit", row.target.commit()}, {"units", units.size()}});
    return *Uuid::Parse(row.id);
  });
}

absl::StatusOr<RowAndCounts> PostgresRollouts::GetRollout(const Uuid& id) {
  return pool_.Query<RowAndCounts>("get rollout", [&](pqxx::work& tx) -> absl::StatusOr<RowAndCounts> {
    const auto rows = tx.exec_params("SELECT " + RolloutColumns() + " FROM rollout r WHERE r.id = $1", id.ToString());
    if (rows.empty()) return NotFound("rollout");
    Columns columns(rows[0]);
    RolloutRow row = ReadRollout(columns);
    PhaseCounts counts = CountUnits(tx, row);
    return RowAndCounts{std::move(row), std::move(counts)};
  });
}

absl::StatusOr<std::vector<RowAndCounts>> PostgresRollouts::ListRollouts(const Uuid& repo_unit, const Uuid& creator,
                                                                         const Page& page) {
  using Rows = std::vector<RowAndCounts>;
  return pool_.Query<Rows>("list rollouts", [&](pqxx::work& tx) -> absl::StatusOr<Rows> {
    const std::string by = creator.IsNil() ? "" : " AND r.creator_id = " + tx.quote(creator.ToString());
    const std::string before = page.after.IsNil() ? "" : " AND r.id < " + tx.quote(page.after.ToString());
    Rows rows;
    for (const auto& found : tx.exec_params("SELECT " + RolloutColumns() + " FROM rollout r WHERE r.repo_unit_id = $1" +
                                                by + before + " ORDER BY r.id DESC LIMIT $2",
                                            repo_unit.ToString(), page.limit + 1)) {
      Columns columns(found);
      RolloutRow row = ReadRollout(columns);
      PhaseCounts counts = CountUnits(tx, row);
      rows.emplace_back(std::move(row), std::move(counts));
    }
    return rows;
  });
}

absl::StatusOr<std::optional<RolloutRow>> PostgresRollouts::NewestOfFollowers(const Uuid& repo_unit) {
  using Found = std::optional<RolloutRow>;
  return pool_.Query<Found>("newest rollout", [&](pqxx::work& tx) -> absl::StatusOr<Found> {
    const auto rows = tx.exec_params("SELECT " + RolloutColumns() +
                                         " FROM rollout r WHERE r.repo_unit_id = $1 AND r.creator_id IS NULL"
                                         " ORDER BY r.id DESC LIMIT 1",
                                     repo_unit.ToString());
    if (rows.empty()) return Found();
    Columns columns(rows[0]);
    return Found(ReadRollout(columns));
  });
}

absl::Status PostgresRollouts::Supersede(const Uuid& repo_unit) {
  return pool_.Transact("supersede rollouts", [&](pqxx::work& tx) {
    SupersedeAll(tx, repo_unit.ToString());
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<RolloutUnit>> PostgresRollouts::ListRolloutUnits(const access::Subject& viewer,
                                                                            const Uuid& rollout, RolloutUnitState state,
                                                                            const Page& page) {
  using Rows = std::vector<RolloutUnit>;
  postgres::Params params;
  const std::string query =
      "SELECT m.unit_id, n.name, m.phase, m.state, " + MsOf("m.since") + ", m.reason, m.passed_over, m.from_version, " +
      UpdateColumns("w") +
      " FROM rollout_unit m JOIN node n ON n.id = m.unit_id JOIN unit_update w ON w.id = m.unit_id"
      " WHERE m.rollout_id = " +
      params.Id(rollout) + " AND m.unit_id > " + params.Id(page.after) +
      (state == ROLLOUT_UNIT_STATE_UNSPECIFIED ? "" : " AND m.state = " + Number(state)) + " AND " +
      VisibleTo(params, viewer, "n", "n") + " ORDER BY m.unit_id LIMIT " + std::to_string(page.limit + 1);
  return pool_.Read<Rows>("list rollout units", query, params, [](const pqxx::result& result) -> absl::StatusOr<Rows> {
    Rows rows;
    for (const auto& found : result) {
      Columns columns(found);
      auto& row = rows.emplace_back();
      row.set_unit_id(columns.Next().c_str());
      row.set_name(columns.Next().c_str());
      row.set_phase(columns.Next().as<int>() + 1);
      row.set_state(static_cast<RolloutUnitState>(columns.Next().as<int>()));
      ReadTime(columns.Next(), row.mutable_since());
      row.set_reason(columns.Next().c_str());
      row.set_passed_over(columns.Next().as<bool>() && row.state() == ROLLOUT_UNIT_STATE_FAILED);
      row.mutable_from()->ParseFromString(ReadBytes(columns.Next()));
      *row.mutable_update() = ToMessage(ReadUpdate(columns));
    }
    return rows;
  });
}

absl::Status PostgresRollouts::ChangeRollout(const Actor& actor, const char* action, const Uuid& id,
                                             const Change& change) {
  return pool_.Transact(action, [&](pqxx::work& tx) -> absl::Status {
    PEPEUNIT_RETURN_IF_ERROR(AskAgain(tx, actor));
    const auto rows =
        tx.exec_params("SELECT " + RolloutColumns() + " FROM rollout r WHERE r.id = $1 FOR UPDATE", id.ToString());
    if (rows.empty()) return NotFound("rollout");
    Columns columns(rows[0]);
    RolloutRow row = ReadRollout(columns);
    PEPEUNIT_ASSIGN_OR_RETURN(const Failures failures, change(&row));
    if (failures == Failures::kPassOver) {
      tx.exec_params("UPDATE rollout_unit SET passed_over = true WHERE rollout_id = $1 AND state = $2", row.id,
                     static_cast<int>(ROLLOUT_UNIT_STATE_FAILED));
    } else if (failures == Failures::kRetry) {
      tx.exec_params(
          "UPDATE rollout_unit SET state = $3, since = now(), reason = '', passed_over = false"
          " WHERE rollout_id = $1 AND state = $2",
          row.id, static_cast<int>(ROLLOUT_UNIT_STATE_FAILED), static_cast<int>(ROLLOUT_UNIT_STATE_WAITING));
    }
    WriteRollout(tx, row);
    tx.exec_params("UPDATE rollout SET turn = now() WHERE id = $1 AND turn < now() + interval '20 seconds'", row.id);
    Audit(tx, actor, action, row.repo_unit_id, {{"rollout_id", row.id}, {"commit", row.target.commit()}});
    return absl::OkStatus();
  });
}

absl::StatusOr<std::optional<RolloutTurn>> PostgresRollouts::TakeTurn() {
  using Taken = std::optional<RolloutTurn>;
  return pool_.Query<Taken>("take rollout turn", [](pqxx::work& tx) -> absl::StatusOr<Taken> {
    const auto ids = tx.exec(
        "UPDATE rollout SET turn = now() + interval '30 seconds' WHERE id = (SELECT id FROM rollout"
        " WHERE state IN (1, 2, 3, 7) AND turn <= now() ORDER BY turn LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING id");
    if (ids.empty()) return Taken();
    const std::string id = ids[0][0].c_str();
    if (Refresh(tx, id)) tx.exec_params("UPDATE rollout SET version = version + 1 WHERE id = $1", id);
    const auto rows = tx.exec_params("SELECT " + RolloutColumns() +
                                         ", a.id, coalesce(a.administrator, false), coalesce(a.blocked, false)"
                                         " FROM rollout r LEFT JOIN account a ON a.id = r.creator_id WHERE r.id = $1",
                                     id);
    Columns columns(rows[0]);
    RolloutTurn turn;
    turn.row = ReadRollout(columns);
    turn.counts = CountUnits(tx, turn.row);
    turn.creator.user = ReadUuid(columns.Next());
    turn.creator.subject = {
        .kind = access::Subject::Kind::kUser, .id = turn.creator.user, .administrator = columns.Next().as<bool>()};
    turn.creator_gone = columns.Next().as<bool>() || (!turn.row.creator_id.empty() && turn.creator.user.IsNil());
    return Taken(std::move(turn));
  });
}

absl::StatusOr<bool> PostgresRollouts::SaveTurn(RolloutRow* row) {
  return pool_.Query<bool>("save rollout", [&](pqxx::work& tx) -> absl::StatusOr<bool> {
    const bool as_read =
        !tx.exec_params("SELECT 1 FROM rollout WHERE id = $1 AND version = $2 FOR UPDATE", row->id, row->version)
             .empty();
    if (as_read) WriteRollout(tx, *row);
    row->version += as_read ? 1 : 0;
    return as_read;
  });
}

absl::Status PostgresRollouts::EndTurn(const Uuid& rollout, bool moved, std::chrono::milliseconds wait) {
  return pool_.Transact("end rollout turn", [&](pqxx::work& tx) {
    const std::string id = rollout.ToString();
    if (moved) tx.exec_params("UPDATE rollout SET version = version + 1 WHERE id = $1", id);
    tx.exec_params("UPDATE rollout SET turn = now() + make_interval(secs => $2::float8 / 1000) WHERE id = $1", id,
                   wait.count());
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<RolloutMember>> PostgresRollouts::ListMembers(const char* name, const std::string& condition,
                                                                         const Uuid& rollout, int limit) {
  using Rows = std::vector<RolloutMember>;
  return pool_.Query<Rows>(name, [&](pqxx::work& tx) -> absl::StatusOr<Rows> {
    Rows rows;
    for (const auto& row :
         tx.exec_params("SELECT m.unit_id, m.from_version FROM rollout r JOIN rollout_unit m ON m.rollout_id = r.id"
                        " JOIN unit u ON u.id = m.unit_id WHERE r.id = $1 AND " +
                            condition + " ORDER BY m.phase, m.unit_id LIMIT $2",
                        rollout.ToString(), limit)) {
      auto& member = rows.emplace_back();
      member.unit = ReadUuid(row[0]);
      member.from.ParseFromString(ReadBytes(row[1]));
    }
    return rows;
  });
}

absl::StatusOr<std::vector<RolloutMember>> PostgresRollouts::ListWaiting(const Uuid& rollout, int phase, int limit) {
  return ListMembers("list waiting",
                     "m.state = " + Number(ROLLOUT_UNIT_STATE_WAITING) + " AND m.phase <= " + std::to_string(phase),
                     rollout, limit);
}

absl::StatusOr<std::vector<RolloutMember>> PostgresRollouts::ListMoved(const Uuid& rollout, int limit) {
  return ListMembers("list moved",
                     "m.state IN (" + Number(ROLLOUT_UNIT_STATE_UNDER_WAY) + ", " +
                         Number(ROLLOUT_UNIT_STATE_SUCCEEDED) + ", " + Number(ROLLOUT_UNIT_STATE_FAILED) + ", " +
                         Number(ROLLOUT_UNIT_STATE_WITHOUT_DEVICE) + ") AND u.commit_id = r.commit_id",
                     rollout, limit);
}

absl::Status PostgresRollouts::SetUnitState(const Uuid& rollout, const Uuid& unit, RolloutUnitState state,
                                            const std::string& reason) {
  return pool_.Transact("set rollout unit", [&](pqxx::work& tx) {
    tx.exec_params(
        "UPDATE rollout_unit SET state = $3, since = now(), reason = $4 WHERE rollout_id = $1 AND unit_id = $2",
        rollout.ToString(), unit.ToString(), static_cast<int>(state), reason);
    return absl::OkStatus();
  });
}

absl::StatusOr<RolloutState> PostgresRollouts::StateOf(const Uuid& rollout) {
  return pool_.Query<RolloutState>("rollout state", [&](pqxx::work& tx) -> absl::StatusOr<RolloutState> {
    const auto rows = tx.exec_params("SELECT state FROM rollout WHERE id = $1", rollout.ToString());
    if (rows.empty()) return NotFound("rollout");
    return static_cast<RolloutState>(rows[0][0].as<int>());
  });
}

}  // namespace pepeunit::graph_registry
