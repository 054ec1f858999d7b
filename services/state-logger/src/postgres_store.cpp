#include "postgres_store.h"

#include "history_rows.h"
#include "pepeunit/base/clock.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/base/log.h"
#include "pepeunit/postgres/params.h"
#include "postgres_keeping.h"
#include "postgres_rollups.h"
#include "rows.h"
#include "stage.h"

namespace pepeunit::state_logger {
namespace {

constexpr char kTimeMs[] = "(extract(epoch FROM time) * 1000)::bigint";

struct Met {
  std::set<Uuid> gone;            // what of the batch was removed from the graph
  std::int64_t rolled_up_ms = 0;  // roll-ups are made, or being made, up to here
};

Met Meet(pqxx::work& tx, const Batch& batch) {
  tx.exec("SELECT pg_advisory_xact_lock_shared(" + kForgetLock + ")");
  std::vector<Uuid> ids;
  ids.reserve(batch.rows());
  for (const auto& [id, row] : batch.current()) ids.push_back(id);  // each reading's variable is among them
  for (const auto& [id, row] : batch.units()) ids.push_back(id);
  const auto add = [&](const Way& way) {
    ids.insert(ids.end(), {way.link, way.unit, way.output, way.input, way.target});
  };
  for (const DeliveryRow& row : batch.deliveries()) add(row.way);
  for (const RefusalRow& row : batch.refusals()) add(row.way);
  Met met;
  const auto rows = tx.exec_params(
      "SELECT id, NULL FROM removed WHERE id = ANY($1::uuid[]) UNION ALL"
      " SELECT NULL, (extract(epoch FROM pending) * 1000)::bigint FROM rollup_mark WHERE width = 60",
      postgres::ArrayOf(ids));
  for (const auto& row : rows) {
    if (row[0].is_null())
      met.rolled_up_ms = row[1].as<std::int64_t>();
    else
      met.gone.insert(ReadUuid(row[0]));
  }
  return met;
}

std::vector<std::pair<Uuid, Uuid>> VariablesOf(const Batch& batch) {
  std::map<Uuid, Uuid> units;
  for (const ReadingRow& row : batch.readings()) units.emplace(row.variable, row.unit);
  for (const SampleRow& row : batch.samples()) units.emplace(row.variable, row.unit);
  return {units.begin(), units.end()};
}

std::set<std::int64_t> DaysOf(const Batch& batch) {
  std::set<std::int64_t> days;
  for (const ReadingRow& row : batch.readings()) days.insert(row.time_ms / kDayMs);
  for (const SampleRow& row : batch.samples()) days.insert(row.time_ms / kDayMs);
  return days;
}

std::set<std::pair<int, std::int64_t>> LateOf(const Batch& batch, const SeriesIds& ids, std::int64_t rolled_up_ms) {
  std::set<std::pair<int, std::int64_t>> late;
  for (const ReadingRow& row : batch.readings()) {
    if (row.time_ms >= rolled_up_ms) continue;
    if (const auto id = ids.find(row.variable); id != ids.end()) late.emplace(id->second, StartOf(row.time_ms, 60'000));
  }
  return late;
}

// All but the readings.
void StageNewest(pqxx::work& tx, const Batch& batch, const LinkStates& links) {
  UpsertCurrent(tx, batch.current());
  UpsertUnits(tx, batch.units());
  UpsertLinks(tx, links);
}

// In the order of their ids, and before any value, so that nobody waits in a circle.
LinkStates LockLinks(pqxx::work& tx, const Batch& batch) {
  std::set<Uuid> ids;
  for (const DeliveryRow& row : batch.deliveries()) ids.insert(row.way.link);
  for (const RefusalRow& row : batch.refusals()) ids.insert(row.way.link);
  return ReadLinks(tx, "link_id = ANY(" + tx.quote(postgres::ArrayOf(std::vector<Uuid>(ids.begin(), ids.end()))) +
                           "::uuid[]) ORDER BY link_id FOR NO KEY UPDATE");
}

// The stream was made anew: all that was stored came from another one.
void BeginAnew(pqxx::work& tx, std::int64_t created_ns) {
  tx.exec_params("UPDATE stream SET created_ns = $1", created_ns);
  tx.exec("UPDATE partition_position SET applied = 0");
  tx.exec("UPDATE current_value SET stream_seq = 0");
  tx.exec("UPDATE unit_state SET stream_seq = 0");
  tx.exec("UPDATE link_state SET held_seq = 0 WHERE due_ms IS NOT NULL");
}

// The stream lost its newest messages after they were stored: their positions will be given again.
void GoBack(pqxx::work& tx, std::uint64_t last) {
  tx.exec_params("UPDATE partition_position SET applied = $1 WHERE applied > $1", last);
  tx.exec_params("UPDATE current_value SET stream_seq = $1 WHERE stream_seq > $1", last);
  tx.exec_params("UPDATE unit_state SET stream_seq = $1 WHERE stream_seq > $1", last);
  tx.exec_params("UPDATE link_state SET held_seq = $1 WHERE held_seq > $1 AND due_ms IS NOT NULL", last);
}

}  // namespace

absl::StatusOr<std::uint64_t> PostgresStore::Applied(std::uint32_t partition) {
  return pool_.Query<std::uint64_t>("applied", [&](pqxx::work& tx) -> absl::StatusOr<std::uint64_t> {
    const auto rows = tx.exec_params("SELECT applied FROM partition_position WHERE partition = $1", partition);
    return rows.empty() ? 0 : rows[0][0].as<std::uint64_t>();
  });
}

absl::StatusOr<std::uint64_t> PostgresStore::Resume(std::uint32_t partition, const AskStream& ask) {
  return pool_.Query<std::uint64_t>("resume", [&](pqxx::work& tx) -> absl::StatusOr<std::uint64_t> {
    tx.exec_params("INSERT INTO partition_position (partition) VALUES ($1) ON CONFLICT DO NOTHING", partition);
    // One writer at a time looks; the others find it done.
    const auto known = tx.exec("SELECT created_ns FROM stream FOR UPDATE");
    const auto highest = tx.exec1("SELECT max(applied) FROM partition_position")[0].as<std::uint64_t>();
    // After the positions: they go on meanwhile, and a stream that was looked at before would seem to lack what they
    // hold.
    PEPEUNIT_ASSIGN_OR_RETURN(const bus::StreamState stream, ask());
    if (known.empty()) {
      tx.exec_params("INSERT INTO stream (created_ns) VALUES ($1) ON CONFLICT DO NOTHING", stream.created_ns);
    } else if (known[0][0].as<std::int64_t>() != stream.created_ns) {
      log::Error("the stream VALUES is another one than before; its values are stored from its beginning");
      BeginAnew(tx, stream.created_ns);
    } else if (highest > stream.last_sequence) {
      log::Error("the stream VALUES lost messages that are stored here; positions are set back",
                 {{"stored", highest}, {"stream", stream.last_sequence}});
      GoBack(tx, stream.last_sequence);
    }
    return tx.exec_params1("SELECT applied FROM partition_position WHERE partition = $1", partition)[0]
        .as<std::uint64_t>();
  });
}

absl::Status PostgresStore::Apply(std::uint32_t partition, std::uint64_t expected, const Batch& batch,
                                  const std::function<absl::Status(const Batch&)>& before_commit) {
  PEPEUNIT_RETURN_IF_ERROR(series_.EnsureDays(DaysOf(batch)));
  PEPEUNIT_ASSIGN_OR_RETURN(const SeriesIds ids, series_.Ensure(VariablesOf(batch)));
  Batch changed;
  const absl::Status status = pool_.Transact("apply", [&](pqxx::work& tx) -> absl::Status {
    // First, so that a second writer waits here and then sees that it is one too many.
    const auto moved =
        tx.exec_params("UPDATE partition_position SET applied = $3 WHERE partition = $1 AND applied = $2", partition,
                       expected, batch.last_sequence());
    if (moved.affected_rows() != 1) return absl::AbortedError("another writer has this partition");
    const Met met = Meet(tx, batch);
    const bool whole = met.gone.empty() && !batch.has_links() && batch.samples().empty();
    if (!whole) changed = batch.Without(met.gone);
    const Batch& kept = whole ? batch : changed;
    LinkStates links;
    KeepingState keeping;
    if (kept.has_links()) {
      links = LockLinks(tx, kept);
      Carry(limits_, &links, &changed);
    }
    if (!kept.samples().empty()) {
      keeping = LockKeeping(tx, kept.samples(), ids);
      Keep(NowMs(), &keeping, &changed);
    }
    try {
      CopyReadings(tx, kept.readings(), ids);
      StoreKeeping(tx, keeping);
      MarkLate(tx, LateOf(kept, ids, met.rolled_up_ms));
      StageNewest(tx, kept, links);
    } catch (const pqxx::data_exception& e) {
      log::Error("a value is refused", {{"sqlstate", e.sqlstate()}});
      return absl::InvalidArgumentError("a value cannot be stored");
    }
    return before_commit(kept);
  });
  if (!status.ok()) series_.Forget();
  return status;
}

absl::StatusOr<bool> PostgresStore::CloseWindows(std::int64_t now_ms) {
  constexpr int kAtOnce = 1'000;
  // Which ones are due is looked up before, for the tables that they need have to be there.
  std::vector<std::pair<Uuid, Uuid>> variables;
  std::set<std::int64_t> days;
  PEPEUNIT_RETURN_IF_ERROR(pool_.Transact("due windows", [&](pqxx::work& tx) {
    variables.clear();
    for (const auto& row : tx.exec_params("SELECT variable_id, unit_id, start_ms FROM open_window WHERE due_ms <= $1"
                                          " ORDER BY due_ms LIMIT $2",
                                          now_ms, 2 * kAtOnce)) {
      variables.emplace_back(ReadUuid(row[0]), ReadUuid(row[1]));
      days.insert(row[2].as<std::int64_t>() / kDayMs);
    }
    return absl::OkStatus();
  }));
  if (variables.empty()) return false;
  PEPEUNIT_RETURN_IF_ERROR(series_.EnsureDays(days));
  PEPEUNIT_ASSIGN_OR_RETURN(const SeriesIds ids, series_.Ensure(variables));
  const absl::Status status = pool_.Transact("close windows", [&](pqxx::work& tx) -> absl::Status {
    const Met met = Meet(tx, Batch());
    Windows windows = TakeDueWindows(tx, now_ms, kAtOnce);
    // Due since the look-up: left to the next time, but for its row to be taken back the whole is.
    for (const auto& [key, window] : windows) {
      if (days.count(key.start_ms / kDayMs) == 0) return absl::AbortedError("more windows are due; again");
    }
    MergeClosed(tx, ids, &windows);
    CopyWindows(tx, windows, ids);
    std::set<std::pair<int, std::int64_t>> late;
    for (const auto& [key, window] : windows) {
      const auto id = ids.find(key.variable);
      if (id != ids.end() && key.start_ms < met.rolled_up_ms) late.emplace(id->second, StartOf(key.start_ms, 60'000));
    }
    MarkLate(tx, late);
    return absl::OkStatus();
  });
  if (status.ok()) return true;
  series_.Forget();
  return status;
}

absl::Status PostgresStore::End(const Ended& ended) {
  return pool_.Transact("end", [&](pqxx::work& tx) {
    // Whoever stores a batch meanwhile is waited for, and who begins one later finds what is written here.
    tx.exec("SELECT pg_advisory_xact_lock(" + kForgetLock + ")");
    const std::string variables = postgres::ArrayOf(ended.variables), units = postgres::ArrayOf(ended.units),
                      links = postgres::ArrayOf(ended.links);
    tx.exec_params(
        "INSERT INTO removed (id) SELECT unnest($1::uuid[] || $2::uuid[] || $3::uuid[]) ON CONFLICT DO NOTHING",
        variables, units, links);
    tx.exec_params("DELETE FROM current_value WHERE variable_id = ANY($1::uuid[]) OR unit_id = ANY($2::uuid[])",
                   variables, units);
    tx.exec_params("DELETE FROM unit_state WHERE unit_id = ANY($1::uuid[])", units);
    // With its series a history belongs to nobody and is gone for readers; its rows go when their day is written anew.
    tx.exec_params("DELETE FROM series WHERE variable_id = ANY($1::uuid[]) OR unit_id = ANY($2::uuid[])", variables,
                   units);
    tx.exec_params("DELETE FROM open_window WHERE variable_id = ANY($1::uuid[])", variables);
    tx.exec_params("DELETE FROM kept_value WHERE variable_id = ANY($1::uuid[])", variables);
    tx.exec_params(
        "DELETE FROM link_state WHERE link_id = ANY($3::uuid[]) OR unit_id = ANY($2::uuid[])"
        " OR output_id = ANY($1::uuid[]) OR input_id = ANY($1::uuid[])",
        variables, units, links);
    for (const StoppedLink& stopped : ended.stopped) {
      tx.exec_params(
          "INSERT INTO link_state AS l (link_id, unit_id, void_before) SELECT $1::uuid, $2::uuid, $3"
          " WHERE NOT EXISTS (SELECT 1 FROM removed WHERE id IN ($1, $2))"
          " ON CONFLICT (link_id) DO UPDATE SET void_before = greatest(l.void_before, excluded.void_before)",
          stopped.link.ToString(), stopped.unit.ToString(), stopped.version);
      tx.exec_params(
          "UPDATE link_state SET held_kind = NULL, held_number = NULL, held_text = NULL, held_time_ms = NULL,"
          " held_seq = NULL, held_version = NULL, due_ms = NULL WHERE link_id = $1 AND held_version < void_before",
          stopped.link.ToString());
    }
    return absl::OkStatus();
  });
}

absl::StatusOr<bool> PostgresStore::ReleaseHeld(std::int64_t now_ms,
                                                const std::function<absl::Status(const Batch&)>& before_commit) {
  return pool_.Query<bool>("release", [&](pqxx::work& tx) -> absl::StatusOr<bool> {
    const auto first = tx.exec1("SELECT min(due_ms) FROM link_state WHERE due_ms IS NOT NULL")[0];
    if (first.is_null()) return false;
    if (first.as<std::int64_t>() > now_ms) return true;
    tx.exec("SELECT pg_advisory_xact_lock_shared(" + kForgetLock + ")");
    // Those that somebody else is about to change are left to him.
    LinkStates links = ReadLinks(
        tx, "due_ms <= " + std::to_string(now_ms) + " ORDER BY due_ms LIMIT 1000 FOR NO KEY UPDATE SKIP LOCKED");
    Batch batch;
    Release(limits_, now_ms, &links, &batch);
    StageNewest(tx, batch, links);
    PEPEUNIT_RETURN_IF_ERROR(before_commit(batch));
    return true;
  });
}

absl::StatusOr<std::optional<LinkState>> PostgresStore::GetLink(const Uuid& link) {
  using Result = std::optional<LinkState>;
  return pool_.Query<Result>("get link", [&](pqxx::work& tx) -> absl::StatusOr<Result> {
    const LinkStates links = ReadLinks(tx, "link_id = " + tx.quote(link.ToString()) + "::uuid");
    return links.empty() ? Result() : Result(links.begin()->second);
  });
}

absl::Status PostgresStore::ForgetOldTombstones() {
  return pool_.Transact("forget tombstones", [](pqxx::work& tx) {
    // Longer than anything stays in the stream.
    tx.exec("DELETE FROM removed WHERE at < now() - interval '60 days'");
    return absl::OkStatus();
  });
}

absl::StatusOr<std::optional<StoredValue>> PostgresStore::CurrentValue(const Uuid& variable) {
  using Result = std::optional<StoredValue>;
  return pool_.Query<Result>("current value", [&](pqxx::work& tx) -> absl::StatusOr<Result> {
    const auto rows = tx.exec_params(
        std::string("SELECT kind, number, text, ") + kTimeMs + " FROM current_value WHERE variable_id = $1",
        variable.ToString());
    if (rows.empty()) return Result();
    return Result(StoredValue{ReadScalar(rows[0][0], rows[0][1], rows[0][2]), rows[0][3].as<std::int64_t>()});
  });
}

absl::StatusOr<std::vector<StoredReading>> PostgresStore::Readings(const Uuid& variable, const ReadingKey& after,
                                                                   std::int64_t to_us, int limit) {
  using Result = std::vector<StoredReading>;
  return pool_.Query<Result>("readings", [&](pqxx::work& tx) -> absl::StatusOr<Result> {
    // Apart, so that the bounds are known when it is planned.
    const auto series = SelectSeries(tx, {variable})[0];
    if (!series) return Result();
    Result result;
    for (StoredPoint& row : SelectReadings(tx, *series, 0, after, to_us, limit))
      result.push_back({row.key, std::move(row.point.value)});
    return result;
  });
}

absl::StatusOr<std::optional<StoredState>> PostgresStore::UnitState(const Uuid& unit) {
  using Result = std::optional<StoredState>;
  return pool_.Query<Result>("unit state", [&](pqxx::work& tx) -> absl::StatusOr<Result> {
    const auto rows = tx.exec_params(
        "SELECT state, (extract(epoch FROM last_seen) * 1000)::bigint FROM unit_state WHERE unit_id = $1",
        unit.ToString());
    if (rows.empty()) return Result();
    return Result(StoredState{rows[0][0].c_str(), rows[0][1].as<std::int64_t>()});
  });
}

absl::StatusOr<Mark> PostgresStore::GetMark(const Uuid& unit) {
  return pool_.Query<Mark>("mark", [&](pqxx::work& tx) -> absl::StatusOr<Mark> {
    Mark mark;
    const auto rows =
        tx.exec_params("SELECT sequence, request_tag FROM unit_state WHERE unit_id = $1", unit.ToString());
    if (!rows.empty()) {
      mark.sequence = static_cast<std::uint64_t>(rows[0][0].as<std::int64_t>());
      const pqxx::binarystring tag(rows[0][1]);
      mark.request_tag.assign(tag.get(), tag.size());
    }
    const auto inputs = tx.exec_params(std::string("SELECT variable_id, kind, number, text, ") + kTimeMs +
                                           ", stream_seq FROM current_value WHERE unit_id = $1 AND input",
                                       unit.ToString());
    for (const auto& row : inputs) {
      bus::v1::InputChanged& input = mark.inputs.emplace_back();
      input.set_unit_id(unit.ToBytes());
      input.set_input_id(ReadUuid(row[0]).ToBytes());
      *input.mutable_value() = ReadScalar(row[1], row[2], row[3]);
      input.set_time_ms(row[4].as<std::int64_t>());
      input.set_stream_sequence(row[5].as<std::uint64_t>());
    }
    return mark;
  });
}

}  // namespace pepeunit::state_logger
