#include "writes.h"

#include "pepeunit/base/errors.h"
#include "pepeunit/base/trace.h"
#include "pepeunit/postgres/params.h"
#include "rights.h"
#include "rows.h"

namespace pepeunit::graph_registry {

absl::Status Touch(pqxx::work& tx, const Uuid& id, const std::string& name, int level, std::int64_t expected_version,
                   const std::string& what) {
  const auto updated = tx.exec_params(
      "UPDATE node SET name = $2, level = $3, version = version + 1, updated_at = now()"
      " WHERE id = $1 AND version = $4",
      id.ToString(), name, level, expected_version);
  if (updated.affected_rows() == 1) return absl::OkStatus();
  if (tx.exec_params("SELECT 1 FROM node WHERE id = $1", id.ToString()).empty()) return NotFound(what);
  return VersionMismatch();
}

absl::Status CheckVersion(pqxx::work& tx, const Uuid& id, std::int64_t expected_version, const std::string& what) {
  const auto rows = tx.exec_params("SELECT version FROM node WHERE id = $1", id.ToString());
  if (rows.empty()) return NotFound(what);
  return rows[0][0].as<std::int64_t>() == expected_version ? absl::OkStatus() : VersionMismatch();
}

absl::Status CheckQuota(pqxx::work& tx, const std::string& owner, const std::vector<graph::v1::NodeType>& types,
                        std::int64_t most, std::size_t added, const std::string& what) {
  // The lock makes the count exact, whatever else he makes at the same moment.
  const auto account = tx.exec_params("SELECT administrator FROM account WHERE id = $1 FOR NO KEY UPDATE", owner);
  if (account.empty()) return NotFound("user");  // deleted at this moment
  if (account[0][0].as<bool>()) return absl::OkStatus();
  std::string any;
  for (const auto type : types) any += (any.empty() ? "" : ",") + std::to_string(static_cast<int>(type));
  const auto count =
      tx.exec_params1("SELECT count(*) FROM node WHERE owner_id = $1 AND type IN (" + any + ")", owner)[0]
          .as<std::int64_t>();
  if (count + static_cast<std::int64_t>(added) <= most) return absl::OkStatus();
  return Error(absl::StatusCode::kResourceExhausted, "LIMIT",
               "You have " + std::to_string(count) + ' ' + what + ", and may have " + std::to_string(most) +
                   " on this instance; delete some first, or ask its administrator.");
}

void InsertNode(pqxx::work& tx, const std::string& id, graph::v1::NodeType type, const std::string& parent,
                const std::string& owner, const std::string& name, int level) {
  tx.exec_params(
      "INSERT INTO node (id, type, parent_id, owner_id, name, level) VALUES ($1, $2, nullif($3, '')::uuid, $4, $5, $6)",
      id, static_cast<int>(type), parent, owner, name, level);
}

void SetVariableLevels(pqxx::work& tx, const std::string& unit, int level, bool all) {
  tx.exec_params(
      "UPDATE node SET level = $2, version = version + 1, updated_at = now() WHERE parent_id = $1 AND level " +
          std::string(all ? "<>" : ">") + " $2",
      unit, level);
}

void Audit(pqxx::work& tx, const Actor& actor, const std::string& action, const std::string& node,
           nlohmann::json details) {
  if (!actor.token.IsNil()) details["by_token_id"] = actor.token.ToString();
  tx.exec_params(
      "INSERT INTO audit (id, actor_id, action, node_id, node_type, node_name, owner_id, details, client_address, "
      "trace_id)"
      " SELECT $1, nullif($2, $3)::uuid, $4, n.id, n.type, n.name, n.owner_id, $5, $6, $7 FROM node n WHERE n.id = $8",
      Uuid::New().ToString(), actor.user.ToString(), Uuid().ToString(), action, details.dump(), actor.client_address,
      CurrentTrace().valid() ? CurrentTrace().TraceIdHex() : "", node);
}

void AuditAll(pqxx::work& tx, const Actor& actor, const std::string& action, const std::vector<std::string>& nodes,
              nlohmann::json details) {
  if (!actor.token.IsNil()) details["by_token_id"] = actor.token.ToString();
  std::vector<std::string> ids;
  for (std::size_t i = 0; i < nodes.size(); ++i) ids.push_back(Uuid::New().ToString());
  tx.exec_params(
      "INSERT INTO audit (id, actor_id, action, node_id, node_type, node_name, owner_id, details, client_address, "
      "trace_id)"
      " SELECT a.id, nullif($1, $2)::uuid, $3, n.id, n.type, n.name, n.owner_id, $4::jsonb, $5, $6"
      " FROM unnest($7::uuid[], $8::uuid[]) AS a (id, node_id) JOIN node n ON n.id = a.node_id",
      actor.user.ToString(), Uuid().ToString(), action, details.dump(), actor.client_address,
      CurrentTrace().valid() ? CurrentTrace().TraceIdHex() : "", postgres::ArrayOf(ids), postgres::ArrayOf(nodes));
}

absl::StatusOr<std::optional<Uuid>> MadeBefore(pqxx::work& tx, const Actor& actor, const std::string& id) {
  if (actor.idempotency_key.empty()) return std::nullopt;
  const std::string user = actor.user.ToString();
  // Waits for another request with the same key to end. A key of yesterday is as good as a new one.
  const auto added = tx.exec_params(
      "INSERT INTO idempotency AS k (user_id, key, request_hash, made_id) VALUES ($1, $2, $3, $4)"
      " ON CONFLICT (user_id, key) DO UPDATE SET request_hash = excluded.request_hash, made_id = excluded.made_id,"
      " created_at = now() WHERE k.created_at < now() - interval '1 day'",
      user, actor.idempotency_key, pqxx::binarystring(actor.request_hash), id);
  if (added.affected_rows() == 1) return std::nullopt;
  const auto row = tx.exec_params1("SELECT request_hash, made_id FROM idempotency WHERE user_id = $1 AND key = $2",
                                   user, actor.idempotency_key);
  if (ReadBytes(row[0]) != actor.request_hash) {
    return Error(absl::StatusCode::kInvalidArgument, "IDEMPOTENCY_MISMATCH",
                 "This Idempotency-Key came with another request before; use a new one.");
  }
  return ReadUuid(row[1]);
}

}  // namespace pepeunit::graph_registry
