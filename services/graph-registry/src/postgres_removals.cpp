#include "postgres_removals.h"

#include <algorithm>

#include "ask_again.h"
#include "postgres_accounts.h"
#include "rows.h"
#include "unit_events.h"
#include "writes.h"

namespace pepeunit::graph_registry {
namespace {

using Ids = std::vector<std::string>;

constexpr std::size_t kBatch = 500;  // units deleted by one statement, so that none runs into its time limit

std::int32_t CountOf(pqxx::work& tx, const std::string& from, const std::string& user) {
  return tx.exec_params1("SELECT count(*) FROM " + from, user)[0].as<std::int32_t>();
}

// What $1 owns of a type that stands on its own.
std::string OwnNodes(graph::v1::NodeType type) {
  return "node n WHERE n.owner_id = $1 AND n.type = " + std::to_string(static_cast<int>(type));
}

// The roles on nodes of others that go: his, and with `units` those of his units.
std::string Grants(bool units) {
  const std::string user = std::to_string(graph::v1::SUBJECT_KIND_USER);
  const std::string unit = std::to_string(graph::v1::SUBJECT_KIND_UNIT);
  std::string subjects = "g.subject_kind = " + user + " AND g.subject_id = $1";
  if (units) {
    subjects = "(" + subjects + " OR g.subject_kind = " + unit + " AND g.subject_id IN (SELECT n.id FROM " +
               OwnNodes(graph::v1::NODE_TYPE_UNIT) + "))";
  }
  return "node_grant g JOIN node o ON o.id = g.node_id WHERE o.owner_id <> $1 AND " + subjects;
}

constexpr char kUnitsOfOthers[] =
    "unit u JOIN node n USING (id) JOIN node r ON r.id = u.repo_unit_id WHERE r.owner_id = $1 AND n.owner_id <> $1";
constexpr char kTouchingLinks[] =
    "(SELECT l.id FROM link l JOIN node n ON n.id = l.output_id WHERE n.owner_id = $1"
    " UNION SELECT l.id FROM link l JOIN node n ON n.id = l.input_id WHERE n.owner_id = $1) touching";
constexpr char kDrawnElsewhere[] =
    "link l JOIN node o ON o.id = l.output_id JOIN node i ON i.id = l.input_id"
    " WHERE l.creator_id = $1 AND o.owner_id <> $1 AND i.owner_id <> $1";

graph::v1::UserDeletion Summarize(pqxx::work& tx, const Removal& removal) {
  const std::string user = removal.user.ToString();
  const bool all = removal.nodes == graph::v1::NODES_CHOICE_DELETE;
  graph::v1::UserDeletion out;
  out.set_user_id(user);
  out.set_preview(removal.preview);
  out.set_nodes(removal.nodes);
  out.set_repo_units(CountOf(tx, OwnNodes(graph::v1::NODE_TYPE_REPO_UNIT), user));
  out.set_units(CountOf(tx, OwnNodes(graph::v1::NODE_TYPE_UNIT), user));
  out.set_deleted_links(all ? CountOf(tx, kTouchingLinks, user) : 0);
  out.set_suspended_links(CountOf(tx, all ? kDrawnElsewhere : "link l WHERE l.creator_id = $1", user));
  out.set_grants(CountOf(tx, Grants(all), user));
  out.set_units_of_others(CountOf(tx, kUnitsOfOthers, user));
  return out;
}

Ids LockOwn(pqxx::work& tx, const std::string& user, graph::v1::NodeType type) {
  Ids ids;
  for (const auto& row :
       tx.exec_params("SELECT n.id FROM " + OwnNodes(type) + " ORDER BY n.id FOR UPDATE OF n", user)) {
    ids.emplace_back(row[0].c_str());
  }
  return ids;
}

void DeleteGrants(pqxx::work& tx, const Actor& actor, const std::string& user, const Ids& units) {
  for (const auto& row :
       tx.exec_params("SELECT g.node_id, g.subject_kind, g.subject_id, g.role FROM " + Grants(!units.empty()), user)) {
    Audit(tx, actor, "grant.delete", row[0].c_str(),
          {{"subject_kind", graph::v1::SubjectKind_Name(row[1].as<int>())},
           {"subject_id", row[2].c_str()},
           {"role", graph::v1::Role_Name(row[3].as<int>())}});
  }
  tx.exec_params("DELETE FROM node_grant WHERE subject_kind = $1 AND subject_id = $2",
                 static_cast<int>(graph::v1::SUBJECT_KIND_USER), user);
  tx.exec_params("DELETE FROM node_grant WHERE subject_kind = $1 AND subject_id = ANY ($2::uuid[])",
                 static_cast<int>(graph::v1::SUBJECT_KIND_UNIT), postgres::ArrayOf(units));
}

void DeleteUnits(pqxx::work& tx, const Actor& actor, const Ids& units) {
  for (std::size_t at = 0; at < units.size(); at += kBatch) {
    const Ids batch(units.begin() + static_cast<std::ptrdiff_t>(at),
                    units.begin() + static_cast<std::ptrdiff_t>(std::min(units.size(), at + kBatch)));
    AuditAll(tx, actor, "unit.delete", batch);
    const auto deleted = AppendSourcesOfDeleted(tx, batch);
    tx.exec_params("DELETE FROM node WHERE id = ANY ($1::uuid[])", postgres::ArrayOf(batch));
    AppendDeleted(tx, deleted);
  }
}

void DeleteRepoUnits(pqxx::work& tx, const Actor& actor, const Ids& repos) {
  AuditAll(tx, actor, "repo_unit.delete", repos);
  tx.exec_params("DELETE FROM node WHERE id = ANY ($1::uuid[])", postgres::ArrayOf(repos));
  for (const std::string& id : repos) AppendRepoUnitDeleted(tx, id);
}

void DeleteAccount(pqxx::work& tx, const Actor& actor, const Removal& removal, const graph::v1::UserDeletion& what) {
  const std::string user = removal.user.ToString();
  nlohmann::json details = {{"nodes", graph::v1::NodesChoice_Name(removal.nodes)},
                            {"repo_units", what.repo_units()},
                            {"units", what.units()}};
  if (!removal.transfer_to.IsNil()) details["transfer_to"] = removal.transfer_to.ToString();
  Audit(tx, actor, "user.delete", user, details);
  tx.exec_params("DELETE FROM login_failure WHERE login = (SELECT login FROM account WHERE id = $1)", user);
  tx.exec_params("DELETE FROM idempotency WHERE user_id = $1", user);
  tx.exec_params("DELETE FROM node WHERE id = $1", user);
  // What he drew between nodes of others.
  AppendCreatorChanged(tx, user);
}

absl::Status Delete(pqxx::work& tx, const Actor& actor, const Removal& removal, const graph::v1::UserDeletion& what) {
  const std::string user = removal.user.ToString();
  if (what.units_of_others() > 0) {
    return Error(absl::StatusCode::kFailedPrecondition, "IN_USE",
                 std::to_string(what.units_of_others()) +
                     " units of others are made from these repositories; transfer the nodes to another user instead.");
  }
  const Ids repos = LockOwn(tx, user, graph::v1::NODE_TYPE_REPO_UNIT);
  const Ids units = LockOwn(tx, user, graph::v1::NODE_TYPE_UNIT);
  DeleteGrants(tx, actor, user, units);
  DeleteUnits(tx, actor, units);
  DeleteRepoUnits(tx, actor, repos);
  DeleteAccount(tx, actor, removal, what);
  return absl::OkStatus();
}

// Nodes are not pressed on anybody: whoever gives his own away needs a role on the heir's user, which the heir gave
// him.
absl::Status CheckHeir(pqxx::work& tx, const Actor& actor, const Removal& removal) {
  const std::string user = removal.user.ToString(), heir = removal.transfer_to.ToString();
  // Held so that he is neither blocked nor deleted meanwhile.
  const auto account = tx.exec_params("SELECT blocked FROM account WHERE id = $1 FOR SHARE", heir);
  if (account.empty() || account[0][0].as<bool>()) return NoSuchHeir();
  if (actor.user != removal.user) return absl::OkStatus();
  const auto agreed =
      tx.exec_params("SELECT 1 FROM node_grant WHERE node_id = $1 AND subject_kind = $2 AND subject_id = $3 FOR SHARE",
                     heir, static_cast<int>(graph::v1::SUBJECT_KIND_USER), user);
  if (!agreed.empty()) return absl::OkStatus();
  return WithViolations(Error(absl::StatusCode::kFailedPrecondition, "NOT_AGREED",
                              "Who shall have your nodes has to agree first, by giving you the role READER on his"
                              " user: PUT /api/v1/nodes/" +
                                  heir + "/grants/" + user + "."),
                        {{"transfer_to", "has not agreed"}});
}

absl::Status Transfer(pqxx::work& tx, const Actor& actor, const Removal& removal, const graph::v1::UserDeletion& what) {
  const std::string user = removal.user.ToString(), heir = removal.transfer_to.ToString();
  Ids nodes = LockOwn(tx, user, graph::v1::NODE_TYPE_REPO_UNIT);
  const Ids units = LockOwn(tx, user, graph::v1::NODE_TYPE_UNIT);
  nodes.insert(nodes.end(), units.begin(), units.end());
  DeleteGrants(tx, actor, user, {});
  tx.exec_params(
      "UPDATE node SET owner_id = $2, version = version + 1, updated_at = now() WHERE owner_id = $1 AND id <> $1", user,
      heir);
  // In the audit of whom they belong to now.
  AuditAll(tx, actor, "node.transfer", nodes, {{"from", user}, {"to", heir}});
  DeleteAccount(tx, actor, removal, what);
  AppendOwnerChanged(tx, units);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<graph::v1::UserDeletion> PostgresRemovals::RemoveUser(const Actor& actor, const Removal& removal) {
  graph::v1::UserDeletion out;
  const auto remove = [&](pqxx::work& tx) -> absl::Status {
    const std::string user = removal.user.ToString();
    // He makes and draws nothing from here on.
    PEPEUNIT_RETURN_IF_ERROR(LockAdministrators(tx, user, true));
    PEPEUNIT_RETURN_IF_ERROR(AskAgain(tx, actor));
    // No unit is made from his repositories meanwhile.
    LockOwn(tx, user, graph::v1::NODE_TYPE_REPO_UNIT);
    // Nobody gives him a role meanwhile.
    tx.exec_params("SELECT 1 FROM node WHERE id = $1 FOR UPDATE", user);
    if (removal.nodes == graph::v1::NODES_CHOICE_TRANSFER) PEPEUNIT_RETURN_IF_ERROR(CheckHeir(tx, actor, removal));
    out = Summarize(tx, removal);
    if (removal.preview) return absl::OkStatus();
    return removal.nodes == graph::v1::NODES_CHOICE_DELETE ? Delete(tx, actor, removal, out)
                                                           : Transfer(tx, actor, removal, out);
  };
  PEPEUNIT_RETURN_IF_ERROR(TransactWithEvents(pool_, relay_, gate_, "remove user", remove));
  return out;
}

}  // namespace pepeunit::graph_registry
