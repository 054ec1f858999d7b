#include "postgres_store.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>

#include "pepeunit/base/clock.h"
#include "pepeunit/bus/v1/events.pb.h"

namespace pepeunit::repo_sync {
namespace {

constexpr double kFirstRetryS = 60, kLongestRetryS = 3600;

std::string ReadBytes(const pqxx::field& field) {
  const pqxx::binarystring raw(field);
  return {raw.get(), raw.size()};
}

pqxx::binarystring Bytes(const std::string& bytes) { return pqxx::binarystring(bytes.data(), bytes.size()); }

// Tells of the row's state as it is now, in the row's transaction. `branches` only with a state that has them.
void AppendSynced(pqxx::work& tx, const Uuid& id, const std::vector<Tip>& branches, const Progress& progress = {}) {
  // Strictly rising, whatever the clock does: readers keep the highest.
  const auto row = tx.exec_params1(
      "UPDATE repository SET event_time_ms = greatest(event_time_ms + 1, $2) WHERE id = $1"
      " RETURNING state, error, problems, size_bytes, remote_head, event_time_ms, failures,"
      " coalesce((extract(epoch FROM next_sync_at) * 1000)::bigint, 0), host_key, shown_host_key",
      id.ToString(), NowMs());
  bus::v1::Event event;
  auto* synced = event.mutable_repo_synced();
  synced->ParseFromString(ReadBytes(row[2]));
  synced->set_repo_unit_id(id.ToString());
  synced->set_state(static_cast<bus::v1::SyncState>(row[0].as<int>()));
  synced->set_error(row[1].c_str());
  synced->set_size_bytes(row[3].as<std::int64_t>());
  synced->set_remote_head(row[4].c_str());
  synced->set_time_ms(row[5].as<std::int64_t>());
  synced->set_failures(row[6].as<std::int32_t>());
  synced->set_next_sync_ms(row[7].as<std::int64_t>());
  synced->set_received_bytes(progress.received_bytes);
  synced->set_received_objects(progress.received_objects);
  synced->set_total_objects(progress.total_objects);
  synced->set_ssh_host_key(row[8].c_str());
  synced->set_shown_ssh_host_key(row[9].c_str());
  for (const Tip& tip : branches) {
    auto* branch = synced->add_branches();
    branch->set_name(tip.name);
    branch->set_commit(tip.commit);
  }
  outbox::Append(tx, "events.repo.sync." + id.ToString(), event);
}

void AddProblems(const std::vector<schema::Problem>& problems,
                 google::protobuf::RepeatedPtrField<common::v1::FileProblem>* out) {
  for (const auto& from : problems) {
    auto* problem = out->Add();
    problem->set_file(from.file);
    problem->set_line(from.line);
    problem->set_field(from.field);
    problem->set_message(from.message);
    problem->set_warning(from.warning);
  }
}

std::string PackProblems(const SyncResult& result) {
  bus::v1::RepoSynced packed;
  AddProblems(result.problems, packed.mutable_problems());
  return packed.SerializeAsString();
}

std::string PackChecks(const SyncResult& result) {
  repo::v1::RefChecks packed;
  for (const RefCheck& from : result.checks) {
    auto* check = packed.add_checks();
    check->set_ref(from.ref);
    check->set_commit(from.commit);
    AddProblems(from.problems, check->mutable_problems());
  }
  return packed.SerializeAsString();
}

static_assert(static_cast<int>(RefChange::Kind::kAdded) == repo::v1::REF_CHANGE_KIND_ADDED &&
              static_cast<int>(RefChange::Kind::kMoved) == repo::v1::REF_CHANGE_KIND_MOVED &&
              static_cast<int>(RefChange::Kind::kRewritten) == repo::v1::REF_CHANGE_KIND_REWRITTEN &&
              static_cast<int>(RefChange::Kind::kDeleted) == repo::v1::REF_CHANGE_KIND_DELETED);

void KeepRecord(pqxx::work& tx, const Taken& taken, const SyncResult& result) {
  using google::protobuf::util::TimeUtil;
  repo::v1::SyncRecord record;
  *record.mutable_began_at() = TimeUtil::MillisecondsToTimestamp(taken.began_ms);
  *record.mutable_duration() = TimeUtil::MillisecondsToDuration(std::max<std::int64_t>(0, NowMs() - taken.began_ms));
  record.set_state(result.error.empty() ? bus::v1::SYNC_STATE_READY : bus::v1::SYNC_STATE_FAILED);
  record.set_error(result.error);
  record.set_unchanged(result.unchanged);
  record.set_received_bytes(result.received_bytes);
  record.set_size_bytes(result.size_bytes);
  record.set_change_count(result.change_count);
  record.set_former_head(result.former_head);
  for (const RefChange& from : result.changes) {
    auto* change = record.add_changes();
    change->set_kind(static_cast<repo::v1::RefChangeKind>(static_cast<int>(from.kind)));
    change->set_ref(from.ref);
    change->set_from(from.from);
    change->set_to(from.to);
  }
  const std::string id = taken.wanted.id.ToString();
  tx.exec_params("INSERT INTO sync (repository_id, record) VALUES ($1, $2)", id, Bytes(record.SerializeAsString()));
  tx.exec_params(
      "DELETE FROM sync WHERE repository_id = $1 AND id <= (SELECT id FROM sync WHERE repository_id = $1"
      " ORDER BY id DESC OFFSET $2 LIMIT 1)",
      id, kMostRecords);
}

}  // namespace

void PostgresStore::Kick() {
  if (relay_ != nullptr) relay_->Kick();
}

absl::Status PostgresStore::Upsert(const Wanted& wanted) {
  bool told = false;
  const absl::Status status = pool_.Transact("upsert repository", [&](pqxx::work& tx) {
    const auto due = [&] {
      return tx.exec_params("SELECT coalesce(next_sync_at::text, '') FROM repository WHERE id = $1 FOR UPDATE",
                            wanted.id.ToString());
    };
    const auto before = due();
    // A new period counts from the last good sync; new credentials are tried at once where the last try failed.
    tx.exec_params(
        "INSERT INTO repository AS r (id, url, sync_period_s, sync_requests, sealed_credentials, host_key)"
        " VALUES ($1, $2, $3, $4, $5, $6)"
        " ON CONFLICT (id) DO UPDATE SET url = excluded.url, sync_period_s = excluded.sync_period_s,"
        " sync_requests = excluded.sync_requests, sealed_credentials = excluded.sealed_credentials,"
        " host_key = CASE WHEN excluded.host_key = '' THEN r.host_key ELSE excluded.host_key END,"
        " next_sync_at = CASE"
        "  WHEN r.failures > 0 AND r.sealed_credentials <> excluded.sealed_credentials THEN now()"
        "  WHEN r.synced_at IS NULL OR r.sync_period_s = excluded.sync_period_s THEN r.next_sync_at"
        "  WHEN excluded.sync_period_s = 0 THEN NULL"
        "  ELSE r.synced_at + make_interval(secs => excluded.sync_period_s) END"
        " WHERE r.sync_requests <= excluded.sync_requests",
        wanted.id.ToString(), wanted.url, wanted.sync_period_s, wanted.sync_requests, Bytes(wanted.sealed_credentials),
        wanted.host_key);
    told = !before.empty() && before[0][0].c_str() != std::string(due()[0][0].c_str());
    if (told) AppendSynced(tx, wanted.id, {});
    return absl::OkStatus();
  });
  if (status.ok() && told) Kick();
  return status;
}

absl::Status PostgresStore::Delete(const Uuid& id) {
  return pool_.Transact("delete repository", [&](pqxx::work& tx) {
    tx.exec_params("DELETE FROM repository WHERE id = $1", id.ToString());
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<Uuid>> PostgresStore::List(const char* name, const char* sql) {
  using Ids = std::vector<Uuid>;
  return pool_.Query<Ids>(name, [&](pqxx::work& tx) -> absl::StatusOr<Ids> {
    Ids ids;
    for (const auto& row : tx.exec(sql)) ids.push_back(Uuid::Parse(row[0].c_str()).value_or(Uuid{}));
    return ids;
  });
}

absl::StatusOr<std::vector<Uuid>> PostgresStore::ListIds() {
  return List("list repositories", "SELECT id FROM repository");
}

absl::StatusOr<std::vector<Uuid>> PostgresStore::ListSynced() {
  return List("list synced", "SELECT id FROM repository WHERE synced_at IS NOT NULL AND leased_until < now()");
}

absl::Status PostgresStore::MarkMissing(const Uuid& id) {
  return pool_.Transact("mark missing", [&](pqxx::work& tx) {
    // A clone that has just failed keeps its place in the back-off.
    tx.exec_params(
        "UPDATE repository SET next_sync_at = now(), synced_at = NULL WHERE id = $1 AND failures = 0"
        " AND leased_until < now()",
        id.ToString());
    return absl::OkStatus();
  });
}

absl::StatusOr<std::optional<CopyState>> PostgresStore::Get(const Uuid& id) {
  using Result = std::optional<CopyState>;
  return pool_.Query<Result>("get repository", [&](pqxx::work& tx) -> absl::StatusOr<Result> {
    const auto rows = tx.exec_params("SELECT state, error, remote_head FROM repository WHERE id = $1", id.ToString());
    if (rows.empty()) return Result();
    const int state = rows[0][0].as<int>();
    return Result(CopyState{.failed = state == bus::v1::SYNC_STATE_FAILED,
                            .running = state == bus::v1::SYNC_STATE_RUNNING,
                            .error = rows[0][1].c_str(),
                            .remote_head = rows[0][2].c_str()});
  });
}

absl::StatusOr<std::optional<Taken>> PostgresStore::TakeDue(std::chrono::seconds lease) {
  using Result = std::optional<Taken>;
  auto result = pool_.Query<Result>("take due", [&](pqxx::work& tx) -> absl::StatusOr<Result> {
    const auto rows = tx.exec_params(
        "UPDATE repository SET lease = lease + 1, leased_until = now() + make_interval(secs => $1), state = $2, error "
        "= ''"
        " WHERE id = (SELECT id FROM repository WHERE leased_until < now()"
        "  AND (next_sync_at <= now() OR sync_requests > done_requests)"
        "  ORDER BY sync_requests > done_requests DESC, next_sync_at LIMIT 1 FOR UPDATE SKIP LOCKED)"
        " RETURNING id, url, sync_period_s, sync_requests, sealed_credentials, lease, host_key",
        lease.count(), static_cast<int>(bus::v1::SYNC_STATE_RUNNING));
    if (rows.empty()) return Result();
    const auto& row = rows[0];
    Taken taken{.wanted = {.id = Uuid::Parse(row[0].c_str()).value_or(Uuid{}),
                           .url = row[1].c_str(),
                           .sync_period_s = row[2].as<std::int64_t>(),
                           .sync_requests = row[3].as<std::uint64_t>(),
                           .sealed_credentials = ReadBytes(row[4]),
                           .host_key = row[6].c_str()},
                .began_ms = NowMs(),
                .lease = row[5].as<std::int64_t>()};
    AppendSynced(tx, taken.wanted.id, {});
    return Result(std::move(taken));
  });
  if (result.ok() && result->has_value()) Kick();
  return result;
}

absl::StatusOr<bool> PostgresStore::Renew(const Taken& taken, std::chrono::seconds lease) {
  return pool_.Query<bool>("renew lease", [&](pqxx::work& tx) -> absl::StatusOr<bool> {
    return tx.exec_params(
                 "UPDATE repository SET leased_until = now() + make_interval(secs => $3) WHERE id = $1 AND lease = $2",
                 taken.wanted.id.ToString(), taken.lease, lease.count())
               .affected_rows() == 1;
  });
}

absl::Status PostgresStore::Tell(const Taken& taken, const Progress& progress) {
  const absl::Status status = pool_.Transact("tell progress", [&](pqxx::work& tx) {
    const auto held = tx.exec_params("SELECT 1 FROM repository WHERE id = $1 AND lease = $2 FOR UPDATE",
                                     taken.wanted.id.ToString(), taken.lease);
    if (!held.empty()) AppendSynced(tx, taken.wanted.id, {}, progress);
    return absl::OkStatus();
  });
  if (status.ok()) Kick();
  return status;
}

absl::StatusOr<bool> PostgresStore::Finish(const Taken& taken, const SyncResult& result) {
  const std::string id = taken.wanted.id.ToString();
  auto stored = pool_.Query<bool>("finish sync", [&](pqxx::work& tx) -> absl::StatusOr<bool> {
    // A host key that is shown is pinned when none is, whether the sync went on well or not: secrets were sent there.
    const auto rows = tx.exec_params(
        "UPDATE repository SET leased_until = '-infinity', done_requests = greatest(done_requests, $3),"
        " host_key = CASE WHEN host_key = '' THEN $4 ELSE host_key END,"
        " shown_host_key = CASE WHEN $4 = '' THEN shown_host_key ELSE $4 END WHERE id = $1 AND lease = $2",
        id, taken.lease, taken.wanted.sync_requests, result.host_key);
    if (rows.affected_rows() != 1) return false;
    if (result.error.empty()) {
      // The jitter keeps repositories that were added together from being synced together for ever.
      tx.exec_params(
          "UPDATE repository SET state = $2, error = '', failures = 0, synced_at = now(), next_sync_at ="
          " CASE WHEN sync_period_s > 0"
          "  THEN now() + make_interval(secs => sync_period_s * (0.9 + 0.2 * random())) END WHERE id = $1",
          id, static_cast<int>(bus::v1::SYNC_STATE_READY));
      if (!result.unchanged) {
        tx.exec_params(
            "UPDATE repository SET problems = $2, checks = $3, size_bytes = $4, remote_head = $5 WHERE id = $1", id,
            Bytes(PackProblems(result)), Bytes(PackChecks(result)), result.size_bytes, result.remote_head);
      }
    } else {
      // Without a schedule only the first clone is tried again by itself.
      tx.exec_params(
          "UPDATE repository SET state = $2, error = $3, failures = failures + 1,"
          " next_sync_at = CASE WHEN sync_period_s > 0 OR synced_at IS NULL THEN now() + make_interval(secs =>"
          "  least($4 * power(2, least(failures, 20)), $5) * (0.9 + 0.2 * random())) END WHERE id = $1",
          id, static_cast<int>(bus::v1::SYNC_STATE_FAILED), result.error, kFirstRetryS, kLongestRetryS);
    }
    KeepRecord(tx, taken, result);
    AppendSynced(tx, taken.wanted.id, result.branches);
    return true;
  });
  if (stored.ok() && *stored) Kick();
  return stored;
}

absl::Status PostgresStore::Release(const Taken& taken) {
  return pool_.Transact("release", [&](pqxx::work& tx) {
    tx.exec_params(
        "UPDATE repository SET leased_until = '-infinity', next_sync_at = now() WHERE id = $1 AND lease = $2",
        taken.wanted.id.ToString(), taken.lease);
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<KeptRecord>> PostgresStore::ListSyncs(const Uuid& id, std::int64_t before, int limit) {
  using Records = std::vector<KeptRecord>;
  return pool_.Query<Records>("list syncs", [&](pqxx::work& tx) -> absl::StatusOr<Records> {
    Records records;
    for (const auto& row : tx.exec_params("SELECT id, record FROM sync WHERE repository_id = $1 AND ($2 = 0 OR id < $2)"
                                          " ORDER BY id DESC LIMIT $3",
                                          id.ToString(), before, limit)) {
      auto& kept = records.emplace_back();
      kept.id = row[0].as<std::int64_t>();
      kept.record.ParseFromString(ReadBytes(row[1]));
    }
    return records;
  });
}

absl::StatusOr<repo::v1::RefChecks> PostgresStore::GetChecks(const Uuid& id) {
  return pool_.Query<repo::v1::RefChecks>("get checks", [&](pqxx::work& tx) -> absl::StatusOr<repo::v1::RefChecks> {
    repo::v1::RefChecks checks;
    const auto rows = tx.exec_params("SELECT checks FROM repository WHERE id = $1", id.ToString());
    if (!rows.empty()) checks.ParseFromString(ReadBytes(rows[0][0]));
    return checks;
  });
}

}  // namespace pepeunit::repo_sync
