#include "ask_again.h"

#include <algorithm>
#include <vector>

#include "pepeunit/base/errors.h"
#include "pepeunit/postgres/params.h"
#include "rights.h"
#include "rows.h"
#include "visibility.h"

namespace pepeunit::graph_registry {
namespace {

// The account is held so that what ends his sessions and tokens, and changes what he is, waits or is seen.
absl::Status AskCaller(pqxx::work& tx, const Actor& actor) {
  const std::string user = actor.user.ToString();
  tx.exec_params("SELECT 1 FROM account WHERE id = $1 FOR NO KEY UPDATE", user);
  // Apart from the lock: a statement sees what was there when it began, not when it had waited.
  const auto caller = tx.exec_params("SELECT a.administrator FROM account a WHERE a.id = $1 AND " + MayCall("$2"), user,
                                     actor.session.ToString());
  if (caller.empty()) return SessionEnded();
  // Told to come back, he is judged as what he is now.
  if (actor.subject.administrator && !caller[0][0].as<bool>())
    return Unavailable("Your rights changed at this moment; try again.", 100);
  return absl::OkStatus();
}

// In the order of their ids: a unit before its variables, whoever holds both.
void Lock(pqxx::work& tx, const std::vector<std::string>& nodes, const char* how) {
  if (nodes.empty()) return;
  tx.exec_params(
      "SELECT 1 FROM node WHERE id IN (SELECT unnest($1::uuid[]) UNION SELECT parent_id FROM node"
      " WHERE id = ANY ($1::uuid[])) ORDER BY id FOR " +
          std::string(how),
      postgres::ArrayOf(nodes));
}

absl::StatusOr<NodeFacts> ReadFactsNow(pqxx::work& tx, const access::Subject& subject, const Uuid& node,
                                       const std::string& what) {
  postgres::Params params;
  const std::string query = FactsQuery(params, subject, node);
  const auto rows = postgres::Exec(tx, query, params);
  if (rows.empty()) return NotFound(what);
  Columns columns(rows[0]);
  return ReadFacts(columns);
}

}  // namespace

std::string MayCall(const std::string& session) {
  const auto lives = [&](const std::string& table) {
    return "EXISTS (SELECT 1 FROM " + table + " t WHERE t.id = " + session +
           " AND t.user_id = a.id AND t.expires_at > now())";
  };
  return "NOT a.blocked AND (" + lives("session") + " OR " + lives("personal_token") + ")";
}

std::string FactsQuery(postgres::Params& params, const access::Subject& viewer, const Uuid& id) {
  return "SELECT " + FactColumns("n", "p", GrantTo(params, "n", viewer)) +
         " FROM node n LEFT JOIN node p ON p.id = n.parent_id WHERE n.id = " + params.Id(id);
}

absl::StatusOr<NodeFacts> LockFacts(pqxx::work& tx, const access::Subject& subject, const Uuid& node) {
  Lock(tx, {node.ToString()}, "NO KEY UPDATE");
  return ReadFactsNow(tx, subject, node, "node");
}

absl::Status AskAgain(pqxx::work& tx, const Actor& actor) {
  if (!actor.session.IsNil()) PEPEUNIT_RETURN_IF_ERROR(AskCaller(tx, actor));
  // Nodes that are only read are shared by many: the repository of everybody's units.
  std::vector<std::string> read, changed;
  for (const Need& need : actor.needs)
    (need.role == access::Role::kReader ? read : changed).push_back(need.node.ToString());
  Lock(tx, read, "SHARE");
  Lock(tx, changed, "NO KEY UPDATE");
  for (const Need& need : actor.needs) {
    PEPEUNIT_ASSIGN_OR_RETURN(const NodeFacts facts, ReadFactsNow(tx, actor.subject, need.node, need.what));
    PEPEUNIT_RETURN_IF_ERROR(Check(actor.subject, facts, need.role, need.what));
  }
  return absl::OkStatus();
}

}  // namespace pepeunit::graph_registry
