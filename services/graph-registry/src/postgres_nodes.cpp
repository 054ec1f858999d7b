#include <google/protobuf/util/json_util.h>

#include "ask_again.h"
#include "pepeunit/base/errors.h"
#include "postgres_store.h"
#include "rows.h"
#include "unit_events.h"
#include "visibility.h"
#include "writes.h"

namespace pepeunit::graph_registry {
namespace {

graph::v1::AuditRecord ReadRecord(const pqxx::row& row) {
  graph::v1::AuditRecord record;
  record.set_id(row[0].c_str());
  ReadTime(row[1], record.mutable_time());
  record.set_actor_id(row[2].c_str());
  record.set_action(row[3].c_str());
  record.set_node_id(row[4].c_str());
  record.set_node_type(static_cast<graph::v1::NodeType>(row[5].as<int>()));
  record.set_node_name(row[6].c_str());
  record.set_owner_id(row[7].c_str());
  (void)google::protobuf::util::JsonStringToMessage(row[8].c_str(), record.mutable_details());
  record.set_client_address(row[9].c_str());
  record.set_trace_id(row[10].c_str());
  return record;
}

nlohmann::json DetailsOf(const graph::v1::Grant& grant) {
  return {{"subject_kind", graph::v1::SubjectKind_Name(grant.subject_kind())},
          {"subject_id", grant.subject_id()},
          {"role", graph::v1::Role_Name(grant.role())}};
}

// Asks while nobody else can change a role there. The role that the grant's subject has.
absl::StatusOr<access::Role> LockAndAsk(pqxx::work& tx, const Actor& actor, const graph::v1::Grant& grant,
                                        const MayChangeGrant& may) {
  PEPEUNIT_ASSIGN_OR_RETURN(const NodeFacts facts, LockFacts(tx, actor.subject, *Uuid::Parse(grant.node_id())));
  const auto granted =
      tx.exec_params("SELECT role FROM node_grant WHERE node_id = $1 AND subject_kind = $2 AND subject_id = $3",
                     grant.node_id(), static_cast<int>(grant.subject_kind()), grant.subject_id());
  const auto before = granted.empty() ? access::Role::kNone : static_cast<access::Role>(granted[0][0].as<int>());
  PEPEUNIT_RETURN_IF_ERROR(may(facts, before));
  return before;
}

}  // namespace

absl::Status PostgresStore::Change(const char* name, const Actor& actor,
                                   const std::function<absl::Status(pqxx::work&)>& body) {
  return TransactWithEvents(pool_, relay_, gate_, name, [&](pqxx::work& tx) -> absl::Status {
    PEPEUNIT_RETURN_IF_ERROR(AskAgain(tx, actor));
    return body(tx);
  });
}

absl::StatusOr<Uuid> PostgresStore::Make(const char* name, const Actor& actor, const std::string& id,
                                         const std::function<absl::Status(pqxx::work&)>& body) {
  Uuid made = *Uuid::Parse(id);
  PEPEUNIT_RETURN_IF_ERROR(Change(name, actor, [&](pqxx::work& tx) -> absl::Status {
    PEPEUNIT_ASSIGN_OR_RETURN(const auto before, MadeBefore(tx, actor, id));
    if (!before) return body(tx);
    made = *before;
    return absl::OkStatus();
  }));
  return made;
}

absl::StatusOr<NodeFacts> PostgresStore::GetFacts(const Uuid& id, const access::Subject& viewer) {
  postgres::Params params;
  const std::string query = FactsQuery(params, viewer, id);
  return pool_.Read<NodeFacts>("get facts", query, params, [](const pqxx::result& rows) -> absl::StatusOr<NodeFacts> {
    if (rows.empty()) return NotFound("node");
    Columns columns(rows[0]);
    return ReadFacts(columns);
  });
}

absl::StatusOr<graph::v1::Node> PostgresStore::GetNode(const Uuid& id) {
  using Node = graph::v1::Node;
  postgres::Params params;
  const std::string query = "SELECT " + NodeColumns("n") + " FROM node n WHERE n.id = " + params.Id(id);
  return pool_.Read<Node>("get node", query, params, [](const pqxx::result& rows) -> absl::StatusOr<Node> {
    if (rows.empty()) return NotFound("node");
    Columns columns(rows[0]);
    return ReadNode(columns);
  });
}

absl::Status PostgresStore::SetLevel(const Actor& actor, const LevelWrite& write) {
  return Change("set level", actor, [&](pqxx::work& tx) -> absl::Status {
    const std::string node = write.node.ToString();
    const int level = static_cast<int>(write.level);
    const auto before = tx.exec_params("SELECT name, level FROM node WHERE id = $1 FOR NO KEY UPDATE", node);
    if (before.empty()) return NotFound("node");
    PEPEUNIT_RETURN_IF_ERROR(Touch(tx, write.node, before[0][0].c_str(), level, write.expected_version, "node"));
    SetVariableLevels(tx, node, level, write.with_variables);
    Audit(tx, actor, "node.set-level", node,
          {{"from", common::v1::AccessLevel_Name(before[0][1].as<int>())},
           {"to", common::v1::AccessLevel_Name(level)},
           {"with_variables", write.with_variables}});
    AppendRightsChanged(tx, node);
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<graph::v1::Grant>> PostgresStore::ListGrants(const Uuid& node, const Page& page) {
  using Rows = std::vector<graph::v1::Grant>;
  return pool_.Query<Rows>("list grants", [&](pqxx::work& tx) -> absl::StatusOr<Rows> {
    const auto result = tx.exec_params("SELECT " + GrantColumns() +
                                           " FROM node_grant WHERE node_id = $1 AND subject_id > $2"
                                           " ORDER BY subject_id LIMIT $3",
                                       node.ToString(), page.after.ToString(), page.limit + 1);
    Rows rows;
    for (const auto& row : result) rows.push_back(ReadGrant(row));
    return rows;
  });
}

absl::StatusOr<graph::v1::Grant> PostgresStore::PutGrant(const Actor& actor, const graph::v1::Grant& grant,
                                                         std::int64_t most, const MayChangeGrant& may) {
  graph::v1::Grant put;
  PEPEUNIT_RETURN_IF_ERROR(Change("put grant", actor, [&](pqxx::work& tx) -> absl::Status {
    // Whoever is deleted at this moment gets no role that nobody would take away, and a unit takes its roles with it.
    if (grant.subject_kind() != graph::v1::SUBJECT_KIND_REMOTE_USER &&
        tx.exec_params("SELECT 1 FROM node WHERE id = $1 FOR KEY SHARE", grant.subject_id()).empty()) {
      return NotFound("subject");
    }
    if (const auto before = LockAndAsk(tx, actor, grant, may); !before.ok()) return before.status();
    // Lists of roles go on after a subject's id.
    if (!tx.exec_params("SELECT 1 FROM node_grant WHERE node_id = $1 AND subject_id = $2 AND subject_kind <> $3",
                        grant.node_id(), grant.subject_id(), static_cast<int>(grant.subject_kind()))
             .empty()) {
      return InvalidField("subject_kind", "is another one than that as which the subject has a role here");
    }
    const auto rows = tx.exec_params(
        "INSERT INTO node_grant (node_id, subject_kind, subject_id, role, node_type, granted_by)"
        " SELECT $1, $2, $3, $4, n.type, $5 FROM node n WHERE n.id = $1"
        " ON CONFLICT (node_id, subject_kind, subject_id)"
        " DO UPDATE SET role = $4, granted_by = $5, created_at = now() RETURNING " +
            GrantColumns(),
        grant.node_id(), static_cast<int>(grant.subject_kind()), grant.subject_id(), static_cast<int>(grant.role()),
        grant.granted_by());
    put = ReadGrant(rows[0]);
    const auto count = tx.exec_params1("SELECT count(*) FROM node_grant WHERE node_id = $1", grant.node_id());
    if (count[0].as<std::int64_t>() > most) {
      return Error(absl::StatusCode::kResourceExhausted, "LIMIT",
                   "At most " + std::to_string(most) + " subjects may have a role on one node; take some away first.");
    }
    Audit(tx, actor, "grant.put", grant.node_id(), DetailsOf(grant));
    AppendRightsChanged(tx, grant.node_id());
    return absl::OkStatus();
  }));
  return put;
}

absl::Status PostgresStore::DeleteGrant(const Actor& actor, const graph::v1::Grant& grant, const MayChangeGrant& may) {
  return Change("delete grant", actor, [&](pqxx::work& tx) -> absl::Status {
    PEPEUNIT_ASSIGN_OR_RETURN(const access::Role before, LockAndAsk(tx, actor, grant, may));
    if (before == access::Role::kNone) return NotFound("grant");
    tx.exec_params("DELETE FROM node_grant WHERE node_id = $1 AND subject_kind = $2 AND subject_id = $3",
                   grant.node_id(), static_cast<int>(grant.subject_kind()), grant.subject_id());
    graph::v1::Grant taken = grant;
    taken.set_role(static_cast<graph::v1::Role>(before));
    Audit(tx, actor, "grant.delete", grant.node_id(), DetailsOf(taken));
    AppendRightsChanged(tx, grant.node_id());
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<graph::v1::AuditRecord>> PostgresStore::ListAudit(const AuditFilter& filter,
                                                                             const Page& page) {
  using Rows = std::vector<graph::v1::AuditRecord>;
  return pool_.Query<Rows>("list audit", [&](pqxx::work& tx) -> absl::StatusOr<Rows> {
    std::string conditions = "true";
    const auto add = [&](const std::string& condition, const Uuid& id) {
      if (!id.IsNil()) conditions += " AND " + condition + ' ' + tx.quote(id.ToString()) + "::uuid";
    };
    add("node_id =", filter.node);
    add("actor_id =", filter.actor);
    add("owner_id =", filter.owner);
    add("id <", page.after);
    const auto result =
        tx.exec("SELECT id, " + MsOf("at") +
                ", actor_id, action, node_id, node_type, node_name, owner_id, details, client_address, trace_id"
                " FROM audit WHERE " +
                conditions + " ORDER BY id DESC LIMIT " + std::to_string(page.limit + 1));
    Rows rows;
    for (const auto& row : result) rows.push_back(ReadRecord(row));
    return rows;
  });
}

absl::StatusOr<std::int64_t> PostgresStore::ForgetAudit(int days) {
  return pool_.Query<std::int64_t>("forget audit", [&](pqxx::work& tx) -> absl::StatusOr<std::int64_t> {
    const auto deleted = tx.exec_params(
        // Ids are in order of time, so those that are old are at the beginning of the index.
        "DELETE FROM audit WHERE id IN (SELECT id FROM (SELECT id, at FROM audit ORDER BY id LIMIT 5000) oldest"
        " WHERE at < now() - make_interval(days => $1))",
        days);
    return static_cast<std::int64_t>(deleted.affected_rows());
  });
}

absl::StatusOr<std::int64_t> PostgresStore::ForgetIdempotencyKeys() {
  return pool_.Query<std::int64_t>("forget idempotency keys", [&](pqxx::work& tx) -> absl::StatusOr<std::int64_t> {
    const auto deleted = tx.exec(
        "DELETE FROM idempotency WHERE (user_id, key) IN (SELECT user_id, key FROM idempotency"
        " WHERE created_at < now() - interval '1 day' ORDER BY created_at LIMIT 5000)");
    return static_cast<std::int64_t>(deleted.affected_rows());
  });
}

}  // namespace pepeunit::graph_registry
