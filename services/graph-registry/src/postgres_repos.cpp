#include <google/protobuf/util/time_util.h>

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/ssh/public_key.h"
#include "postgres_store.h"
#include "rows.h"
#include "unit_events.h"
#include "visibility.h"
#include "writes.h"

namespace pepeunit::graph_registry {
namespace {

using google::protobuf::util::TimeUtil;

std::string RepoColumns() {
  return "n.id, n.name, n.owner_id, r.url, n.level, r.default_branch, r.private, r.sync_period_s, r.sync, " +
         MsOf("n.created_at") + ", " + MsOf("n.updated_at") +
         ", n.version, r.sync_time_ms, r.follow_mode, r.pre_releases, r.rollout_plan, r.ssh_host_key,"
         " r.signing_keys";
}

std::string WriteSigningKeys(const graph::v1::RepoUnit& repo) {
  return absl::StrJoin(repo.signing_keys().keys(), "\n");
}

void ReadSigningKeys(const pqxx::field& field, graph::v1::RepoUnit* repo) {
  for (const auto line : absl::StrSplit(field.c_str(), '\n', absl::SkipEmpty()))
    repo->mutable_signing_keys()->add_keys(line.data(), line.size());
}

// For the audit: which keys, without their comments.
std::string FingerprintsOf(const graph::v1::RepoUnit& repo) {
  std::vector<std::string> found;
  for (const auto& line : repo.signing_keys().keys()) {
    if (const auto key = ssh::ParsePublicKey(line); key.ok()) found.push_back(ssh::FingerprintOf(key->blob));
  }
  return absl::StrJoin(found, " ");
}

graph::v1::RepoUnit ReadRepo(const pqxx::row& row) {
  graph::v1::RepoUnit repo;
  repo.set_id(row[0].c_str());
  repo.set_name(row[1].c_str());
  repo.set_owner_id(row[2].c_str());
  repo.set_url(row[3].c_str());
  repo.set_level(static_cast<common::v1::AccessLevel>(row[4].as<int>()));
  repo.set_default_branch(row[5].c_str());
  repo.set_private_(row[6].as<bool>());
  if (const auto period = row[7].as<std::int64_t>(); period > 0) repo.mutable_sync_period()->set_seconds(period);
  bus::v1::RepoSynced synced;
  synced.ParseFromString(ReadBytes(row[8]));
  auto* sync = repo.mutable_sync();
  const bool begun = synced.state() != bus::v1::SYNC_STATE_UNSPECIFIED;
  sync->set_state(begun ? synced.state() : bus::v1::SYNC_STATE_PENDING);
  if (begun) *sync->mutable_since() = TimeUtil::MillisecondsToTimestamp(synced.time_ms());
  sync->set_error(synced.error());
  *sync->mutable_problems() = synced.problems();
  sync->set_size_bytes(synced.size_bytes());
  sync->set_remote_head(synced.remote_head());
  sync->set_failures(synced.failures());
  if (synced.next_sync_ms() != 0)
    *sync->mutable_next_sync_at() = TimeUtil::MillisecondsToTimestamp(synced.next_sync_ms());
  sync->set_received_bytes(synced.received_bytes());
  sync->set_received_objects(synced.received_objects());
  sync->set_total_objects(synced.total_objects());
  sync->set_ssh_host_key(synced.shown_ssh_host_key());
  ReadTime(row[9], repo.mutable_created_at());
  ReadTime(row[10], repo.mutable_updated_at());
  // What is shown of the sync changes without a new version: the second part tells caches, If-Match minds the first.
  repo.set_etag(std::string(row[11].c_str()) + '-' + row[12].c_str());
  repo.set_follow_mode(static_cast<graph::v1::FollowMode>(row[13].as<int>()));
  repo.set_pre_releases(row[14].as<bool>());
  if (!row[15].is_null()) repo.mutable_rollout_plan()->ParseFromString(ReadBytes(row[15]));
  repo.set_ssh_host_key(row[16].c_str());
  ReadSigningKeys(row[17], &repo);
  return repo;
}

absl::Status InUse(std::int64_t units, std::int64_t hidden) {
  std::string text = units == 1 ? "1 unit is" : std::to_string(units) + " units are";
  text += " made from this repository";
  if (hidden > 0) text += ", " + std::to_string(hidden) + " of them by others, which you may not see";
  return Error(absl::StatusCode::kFailedPrecondition, "IN_USE", text + "; it can go when they are gone.");
}

// Tells repo-sync what to keep; written in the same transaction as the change.
void AppendChanged(pqxx::work& tx, const std::string& id) {
  const auto row = tx.exec_params1(
      "SELECT url, sync_period_s, sync_requests, sealed_credentials, ssh_host_key FROM repo_unit WHERE id = $1", id);
  bus::v1::Event event;
  auto* changed = event.mutable_repo_unit_changed();
  changed->set_repo_unit_id(id);
  changed->set_url(row[0].c_str());
  changed->set_sync_period_s(row[1].as<std::int64_t>());
  changed->set_sync_requests(row[2].as<std::uint64_t>());
  changed->set_sealed_credentials(ReadBytes(row[3]));
  changed->set_ssh_host_key(row[4].c_str());
  outbox::Append(tx, "events.graph.repo_unit." + id, event);
}

}  // namespace

void AppendRepoUnitDeleted(pqxx::work& tx, const std::string& id) {
  bus::v1::Event event;
  event.mutable_repo_unit_changed()->set_repo_unit_id(id);
  event.mutable_repo_unit_changed()->set_deleted(true);
  outbox::Append(tx, "events.graph.repo_unit." + id, event);
}

absl::StatusOr<Uuid> PostgresStore::CreateRepoUnit(const Actor& actor, const graph::v1::RepoUnit& repo,
                                                   const std::string& sealed_credentials) {
  return Make("create repo_unit", actor, repo.id(), [&](pqxx::work& tx) -> absl::Status {
    PEPEUNIT_RETURN_IF_ERROR(
        CheckQuota(tx, repo.owner_id(), {graph::v1::NODE_TYPE_REPO_UNIT}, quotas_.repo_units, 1, "repositories"));
    InsertNode(tx, repo.id(), graph::v1::NODE_TYPE_REPO_UNIT, "", repo.owner_id(), repo.name(), repo.level());
    tx.exec_params(
        "INSERT INTO repo_unit (id, url, private, sealed_credentials, sync_period_s, ssh_host_key,"
        " signing_keys) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        repo.id(), repo.url(), repo.private_(), pqxx::binarystring(sealed_credentials), repo.sync_period().seconds(),
        repo.ssh_host_key(), WriteSigningKeys(repo));
    Audit(tx, actor, "repo_unit.create", repo.id(),
          {{"url", repo.url()},
           {"private", repo.private_()},
           {"ssh_host_key", repo.ssh_host_key()},
           {"signing_keys", FingerprintsOf(repo)}});
    AppendChanged(tx, repo.id());
    return absl::OkStatus();
  });
}

absl::StatusOr<graph::v1::RepoUnit> PostgresStore::GetRepoUnit(const Uuid& id) {
  return pool_.Query<graph::v1::RepoUnit>("get repo_unit", [&](pqxx::work& tx) -> absl::StatusOr<graph::v1::RepoUnit> {
    const auto rows = tx.exec_params(
        "SELECT " + RepoColumns() + " FROM repo_unit r JOIN node n USING (id) WHERE r.id = $1", id.ToString());
    if (rows.empty()) return NotFound("repository");
    return ReadRepo(rows[0]);
  });
}

absl::StatusOr<std::vector<graph::v1::RepoUnit>> PostgresStore::ListRepoUnits(const access::Subject& viewer,
                                                                              const Page& page) {
  using Rows = std::vector<graph::v1::RepoUnit>;
  postgres::Params params;
  const std::string query = "SELECT " + RepoColumns() + " FROM (" +
                            VisibleIds(params, viewer, graph::v1::NODE_TYPE_REPO_UNIT, page) +
                            ") page JOIN repo_unit r USING (id) JOIN node n USING (id) ORDER BY n.id";
  return pool_.Read<Rows>("list repo_units", query, params, [](const pqxx::result& result) -> absl::StatusOr<Rows> {
    Rows rows;
    for (const auto& row : result) rows.push_back(ReadRepo(row));
    return rows;
  });
}

absl::Status PostgresStore::UpdateRepoUnit(const Actor& actor, const graph::v1::RepoUnit& repo,
                                           const std::optional<std::string>& sealed_credentials,
                                           std::int64_t expected_version) {
  return Change("update repo_unit", actor, [&](pqxx::work& tx) -> absl::Status {
    PEPEUNIT_RETURN_IF_ERROR(
        Touch(tx, *Uuid::Parse(repo.id()), repo.name(), repo.level(), expected_version, "repository"));
    // Units that follow something else now are moved by the sync that this asks for; another host key is tried at once.
    tx.exec_params(
        "UPDATE repo_unit SET sync_requests = sync_requests + ($7 NOT IN ('', ssh_host_key) OR default_branch <> '' AND"
        " (default_branch, follow_mode, pre_releases, signing_keys) <> ($2, $4, $5, $8))::int, default_branch = $2,"
        " sync_period_s = $3, signing_keys = $8,"
        " follow_mode = $4, pre_releases = $5, rollout_plan = nullif($6::bytea, ''),"
        " ssh_host_key = CASE WHEN $7 = '' THEN ssh_host_key ELSE $7 END WHERE id = $1",
        repo.id(), repo.default_branch(), repo.sync_period().seconds(), static_cast<int>(repo.follow_mode()),
        repo.pre_releases(), pqxx::binarystring(repo.rollout_plan().SerializeAsString()), repo.ssh_host_key(),
        WriteSigningKeys(repo));
    if (sealed_credentials) {
      tx.exec_params("UPDATE repo_unit SET sealed_credentials = $2 WHERE id = $1", repo.id(),
                     pqxx::binarystring(*sealed_credentials));
    }
    Audit(tx, actor, "repo_unit.update", repo.id(),
          {{"level", common::v1::AccessLevel_Name(repo.level())},
           {"default_branch", repo.default_branch()},
           {"sync_period_s", repo.sync_period().seconds()},
           {"follow_mode", graph::v1::FollowMode_Name(repo.follow_mode())},
           {"rollout_phases", repo.rollout_plan().phases_size()},
           {"ssh_host_key", repo.ssh_host_key()},
           {"signing_keys", FingerprintsOf(repo)},
           {"credentials", sealed_credentials ? "replaced" : "kept"}});
    AppendChanged(tx, repo.id());
    return absl::OkStatus();
  });
}

absl::Status PostgresStore::DeleteRepoUnit(const Actor& actor, const Uuid& id, std::int64_t expected_version) {
  return Change("delete repo_unit", actor, [&](pqxx::work& tx) -> absl::Status {
    const std::string text = id.ToString();
    PEPEUNIT_RETURN_IF_ERROR(CheckVersion(tx, id, expected_version, "repository"));
    // Locks the row, so that no unit is made from it meanwhile.
    if (tx.exec_params("SELECT 1 FROM repo_unit WHERE id = $1 FOR UPDATE", text).empty()) return NotFound("repository");
    postgres::Params params;
    const std::string units = "SELECT count(*), count(*) FILTER (WHERE NOT " +
                              VisibleTo(params, actor.subject, "n", "n") +
                              ") FROM unit u JOIN node n USING (id) WHERE u.repo_unit_id = " + params.Id(id);
    const auto count = postgres::Exec(tx, units, params)[0];
    if (count[0].as<std::int64_t>() > 0) return InUse(count[0].as<std::int64_t>(), count[1].as<std::int64_t>());
    Audit(tx, actor, "repo_unit.delete", text);
    tx.exec_params("DELETE FROM node WHERE id = $1", text);
    AppendRepoUnitDeleted(tx, text);
    return absl::OkStatus();
  });
}

absl::Status PostgresStore::RequestSync(const Actor& actor, const Uuid& id) {
  return Change("request sync", actor, [&](pqxx::work& tx) -> absl::Status {
    const auto updated =
        tx.exec_params("UPDATE repo_unit SET sync_requests = sync_requests + 1 WHERE id = $1", id.ToString());
    if (updated.affected_rows() == 0) return NotFound("repository");
    Audit(tx, actor, "repo_unit.sync", id.ToString());
    AppendChanged(tx, id.ToString());
    return absl::OkStatus();
  });
}

absl::Status PostgresStore::ApplyRepoSynced(const bus::v1::RepoSynced& synced) {
  return pool_.Transact("apply repo_synced", [&](pqxx::work& tx) {
    // Of two states in the same millisecond the later in a sync wins: running, then ready or failed.
    tx.exec_params(
        "UPDATE repo_unit SET sync = $2, sync_time_ms = $3, sync_state = $4,"
        " follow_due = CASE WHEN $5 THEN $3 ELSE follow_due END, follow_after = CASE WHEN $5 THEN NULL ELSE "
        "follow_after"
        " END, ssh_host_key = CASE WHEN ssh_host_key = '' THEN $6 ELSE ssh_host_key END"
        " WHERE id = $1 AND (sync_time_ms, sync_state) <= ($3, $4::smallint)",
        synced.repo_unit_id(), pqxx::binarystring(synced.SerializeAsString()), synced.time_ms(),
        static_cast<int>(synced.state()), synced.state() == bus::v1::SYNC_STATE_READY, synced.ssh_host_key());
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<graph::v1::RepositoryToKeep>> PostgresStore::ListRepositoriesToKeep(const Page& page) {
  using Rows = std::vector<graph::v1::RepositoryToKeep>;
  return pool_.Query<Rows>("list repositories", [&](pqxx::work& tx) -> absl::StatusOr<Rows> {
    const auto result = tx.exec_params(
        "SELECT id, url, sync_period_s, sync_requests, sealed_credentials, ssh_host_key FROM repo_unit WHERE id > $1"
        " ORDER BY id LIMIT $2",
        page.after.ToString(), page.limit + 1);
    Rows rows;
    for (const auto& row : result) {
      auto& repo = rows.emplace_back();
      repo.set_repo_unit_id(row[0].c_str());
      repo.set_url(row[1].c_str());
      repo.set_sync_period_s(row[2].as<std::int64_t>());
      repo.set_sync_requests(row[3].as<std::uint64_t>());
      repo.set_sealed_credentials(ReadBytes(row[4]));
      repo.set_ssh_host_key(row[5].c_str());
    }
    return rows;
  });
}

}  // namespace pepeunit::graph_registry
