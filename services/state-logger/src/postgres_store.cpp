#include "postgres_store.h"

#include <ctime>

#include "pepeunit/base/errors.h"
#include "pepeunit/base/log.h"
#include "stage.h"

namespace pepeunit::state_logger {
namespace {

int MonthOf(std::int64_t time_ms) {
  const std::time_t seconds = time_ms / 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return (parts.tm_year + 1900) * 12 + parts.tm_mon;
}

std::string FirstOf(int month) {
  char text[32];
  std::snprintf(text, sizeof text, "%04d-%02d-01", month / 12, month % 12 + 1);
  return text;
}

bus::v1::Scalar ReadScalar(const pqxx::field& kind, const pqxx::field& number, const pqxx::field& text) {
  bus::v1::Scalar scalar;
  switch (kind.as<int>()) {
    case bus::v1::Scalar::kNumber: scalar.set_number(number.as<double>()); break;
    case bus::v1::Scalar::kBoolean: scalar.set_boolean(number.as<double>() != 0); break;
    case bus::v1::Scalar::kText: scalar.set_text(text.c_str()); break;
    case bus::v1::Scalar::kJson: scalar.set_json(text.c_str()); break;
    default: break;
  }
  return scalar;
}

Uuid ReadUuid(const pqxx::field& field) { return Uuid::Parse(field.c_str()).value_or(Uuid{}); }

constexpr char kTimeMs[] = "(extract(epoch FROM time) * 1000)::bigint";

}  // namespace

absl::StatusOr<std::uint64_t> PostgresStore::Applied(std::uint32_t partition) {
  return pool_.Query<std::uint64_t>("applied", [&](pqxx::work& tx) -> absl::StatusOr<std::uint64_t> {
    tx.exec_params("INSERT INTO partition_position (partition) VALUES ($1) ON CONFLICT DO NOTHING", partition);
    return tx.exec_params1("SELECT applied FROM partition_position WHERE partition = $1", partition)[0].as<std::uint64_t>();
  });
}

absl::Status PostgresStore::Apply(std::uint32_t partition, std::uint64_t expected, Batch batch,
                                  const std::function<absl::Status(const Batch&)>& before_commit) {
  const absl::Status status = pool_.Transact("apply", [&](pqxx::work& tx) -> absl::Status {
    // First, so that a second writer waits here and then sees that it is one too many.
    const auto moved = tx.exec_params("UPDATE partition_position SET applied = $3 WHERE partition = $1 AND applied = $2",
                                      partition, expected, batch.last_sequence());
    if (moved.affected_rows() != 1) return absl::AbortedError("another writer has this partition");
    Batch kept = batch;
    kept.Remove(Gone(tx, kept));
    EnsureMonths(tx, kept);
    CopyReadings(tx, kept.readings());
    UpsertCurrent(tx, kept.current());
    UpsertUnits(tx, kept.units());
    return before_commit(kept);
  });
  if (!status.ok()) {
    // A month that was made in a transaction that failed is not there.
    std::lock_guard lock(mutex_);
    months_.clear();
  }
  return status;
}

void PostgresStore::EnsureMonths(pqxx::work& tx, const Batch& batch) {
  std::set<int> needed;
  for (const auto& reading : batch.readings()) needed.insert(MonthOf(reading.time_ms));
  for (const int month : needed) {
    {
      std::lock_guard lock(mutex_);
      if (!months_.insert(month).second) continue;
    }
    const std::string name = "reading_" + std::to_string(month / 12) + (month % 12 < 9 ? "_0" : "_") + std::to_string(month % 12 + 1);
    tx.exec("SELECT pg_advisory_xact_lock(hashtext('pepeunit months'))");
    tx.exec("CREATE TABLE IF NOT EXISTS " + name + " PARTITION OF reading FOR VALUES FROM ('" + FirstOf(month) + "') TO ('" +
            FirstOf(month + 1) + "')");
  }
}

std::set<Uuid> PostgresStore::Gone(pqxx::work& tx, const Batch& batch) {
  std::set<Uuid> gone;
  // Nearly always empty: asked whole when small, else by the ids of the batch.
  std::string ids = "{";
  const auto add = [&](const Uuid& id) { ids += (ids.size() > 1 ? "," : "") + id.ToString(); };
  for (const auto& [id, row] : batch.current()) add(id);
  for (const auto& [id, row] : batch.units()) add(id);
  for (const auto& row : tx.exec_params("SELECT id FROM removed WHERE id = ANY($1::uuid[])", ids + "}")) gone.insert(ReadUuid(row[0]));
  return gone;
}

absl::Status PostgresStore::Forget(const std::vector<Uuid>& variables, const std::vector<Uuid>& units) {
  const auto array = [](const std::vector<Uuid>& list) {
    std::string ids = "{";
    for (const Uuid& id : list) ids += (ids.size() > 1 ? "," : "") + id.ToString();
    return ids + "}";
  };
  return pool_.Transact("forget", [&](pqxx::work& tx) {
    tx.exec("SET LOCAL statement_timeout TO '5min'");
    tx.exec_params("INSERT INTO removed (id) SELECT unnest($1::uuid[] || $2::uuid[]) ON CONFLICT DO NOTHING", array(variables), array(units));
    tx.exec_params("DELETE FROM current_value WHERE variable_id = ANY($1::uuid[]) OR unit_id = ANY($2::uuid[])", array(variables), array(units));
    tx.exec_params("DELETE FROM unit_state WHERE unit_id = ANY($1::uuid[])", array(units));
    tx.exec_params("DELETE FROM reading WHERE variable_id = ANY($1::uuid[])", array(variables));
    return absl::OkStatus();
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
    const auto rows = tx.exec_params(std::string("SELECT kind, number, text, ") + kTimeMs + " FROM current_value WHERE variable_id = $1", variable.ToString());
    if (rows.empty()) return Result();
    return Result(StoredValue{ReadScalar(rows[0][0], rows[0][1], rows[0][2]), rows[0][3].as<std::int64_t>()});
  });
}

absl::StatusOr<std::vector<StoredReading>> PostgresStore::Readings(const Uuid& variable, const ReadingKey& after, std::int64_t to_us, int limit) {
  using Result = std::vector<StoredReading>;
  return pool_.Query<Result>("readings", [&](pqxx::work& tx) -> absl::StatusOr<Result> {
    const auto rows = tx.exec_params(
        "SELECT (extract(epoch FROM time) * 1000000)::bigint, stream_seq, ord, kind, number, text FROM reading"
        " WHERE variable_id = $1 AND (time, stream_seq, ord) > (to_timestamp($2::bigint / 1000000.0), $3, $4)"
        " AND time >= to_timestamp($2::bigint / 1000000.0) AND time < to_timestamp($5::bigint / 1000000.0)"
        " ORDER BY time, stream_seq, ord LIMIT $6",
        variable.ToString(), after.time_us, after.stream_seq, after.ord, to_us, limit);
    Result result;
    for (const auto& row : rows) {
      result.push_back({{row[0].as<std::int64_t>(), row[1].as<std::uint64_t>(), row[2].as<int>()}, ReadScalar(row[3], row[4], row[5])});
    }
    return result;
  });
}

absl::StatusOr<std::optional<StoredState>> PostgresStore::UnitState(const Uuid& unit) {
  using Result = std::optional<StoredState>;
  return pool_.Query<Result>("unit state", [&](pqxx::work& tx) -> absl::StatusOr<Result> {
    const auto rows = tx.exec_params("SELECT state, (extract(epoch FROM last_seen) * 1000)::bigint FROM unit_state WHERE unit_id = $1", unit.ToString());
    if (rows.empty()) return Result();
    return Result(StoredState{rows[0][0].c_str(), rows[0][1].as<std::int64_t>()});
  });
}

absl::StatusOr<Mark> PostgresStore::GetMark(const Uuid& unit) {
  return pool_.Query<Mark>("mark", [&](pqxx::work& tx) -> absl::StatusOr<Mark> {
    Mark mark;
    const auto rows = tx.exec_params("SELECT sequence, request_tag FROM unit_state WHERE unit_id = $1", unit.ToString());
    if (!rows.empty()) {
      mark.sequence = static_cast<std::uint64_t>(rows[0][0].as<std::int64_t>());
      const pqxx::binarystring tag(rows[0][1]);
      mark.request_tag.assign(tag.get(), tag.size());
    }
    const auto inputs = tx.exec_params(std::string("SELECT variable_id, kind, number, text, ") + kTimeMs + ", stream_seq FROM current_value WHERE unit_id = $1 AND input", unit.ToString());
    for (const auto& row : inputs) {
      mark.inputs.push_back({ReadUuid(row[0]), unit, true, ReadScalar(row[1], row[2], row[3]), row[4].as<std::int64_t>(), row[5].as<std::uint64_t>()});
    }
    return mark;
  });
}

absl::StatusOr<int> PostgresStore::Heartbeat(const Uuid& member) {
  return pool_.Query<int>("heartbeat", [&](pqxx::work& tx) -> absl::StatusOr<int> {
    tx.exec_params("INSERT INTO member (id) VALUES ($1) ON CONFLICT (id) DO UPDATE SET seen_at = now()", member.ToString());
    tx.exec("DELETE FROM member WHERE seen_at < now() - interval '1 hour'");
    return tx.exec1("SELECT count(*) FROM member WHERE seen_at > now() - interval '10 seconds'")[0].as<int>();
  });
}

absl::Status PostgresStore::Leave(const Uuid& member) {
  return pool_.Transact("leave", [&](pqxx::work& tx) {
    tx.exec_params("DELETE FROM member WHERE id = $1", member.ToString());
    return absl::OkStatus();
  });
}

}  // namespace pepeunit::state_logger
