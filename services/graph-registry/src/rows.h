#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <pqxx/pqxx>
#include <string>
#include <vector>

#include "pepeunit/base/uuid.h"
#include "pepeunit/postgres/params.h"
#include "store.h"

// Pieces of SQL and of its results that the parts of PostgresStore share.
namespace pepeunit::graph_registry {

Uuid ReadUuid(const pqxx::field& field);  // nil for NULL
std::string ReadBytes(const pqxx::field& field);
std::vector<Uuid> ReadUuids(const pqxx::field& field);
void ReadTime(const pqxx::field& milliseconds, google::protobuf::Timestamp* out);

// The highest role granted on the node `n` or its parent, as an expression: to the subject whose kind and id the two
// other expressions say, or to a viewer.
std::string GrantTo(const std::string& n, const std::string& kind, const std::string& subject);
std::string GrantTo(postgres::Params& params, const std::string& n, const access::Subject& viewer);

// The condition under which a viewer may see the node `n` whose parent is `p`: what libs/access says of nodes without
// grants, asked of it for each level, or a grant.
std::string VisibleTo(postgres::Params& params, const access::Subject& viewer, const std::string& n, const std::string& p);
// Which nodes VisibleIds goes over; what is empty, nil or 0 excludes none.
struct NodeRange {
  std::string scope{};  // a condition on `node` which begins an index that goes on with type, level and id
  std::vector<int> types{};
  Uuid owner{};
  int level = 0;
};
// The ways on which a viewer may see nodes without a grant, each a condition on `node`. Of variables they let pass too
// many while one is more open than its unit: VisibleTo decides.
std::vector<std::string> WaysToSee(postgres::Params& params, const access::Subject& viewer, int level = 0);
// A query for the ids of the nodes on which, or on whose parents, the viewer has a grant; empty when he needs none.
std::string GrantedTo(postgres::Params& params, const access::Subject& viewer);

// A query for the ids of the nodes of a type without parents that the viewer may see: a page and one more, in order.
// It takes them from one range of an index for each way to see them, so its cost does not grow with the nodes that
// the viewer may not see. Of variables see WaysToSee.
std::string VisibleIds(postgres::Params& params, const access::Subject& viewer, const NodeRange& range, const Page& page);
std::string VisibleIds(postgres::Params& params, const access::Subject& viewer, graph::v1::NodeType type, const Page& page);

// A PostgreSQL array of elements that need no escaping: ids, numbers, hex digits, and names as schema.json allows them.
class Array {
 public:
  void Add(const std::string& element) { text_ += (text_.empty() ? "\"" : ",\"") + element + '"'; }
  std::string str() const { return '{' + text_ + '}'; }

 private:
  std::string text_;
};

std::string MsOf(const std::string& column);

// The columns that ReadFacts reads, beginning at `first`: of the node `n` whose parent is `p` (it may have none).
inline constexpr int kFacts = 9;
std::string FactColumns(const std::string& n, const std::string& p, const std::string& grant);
NodeFacts ReadFacts(const pqxx::row& row, int first);

// The columns that ReadNode reads: all of a node but the viewer's role.
inline constexpr int kNodeColumns = 9;
std::string NodeColumns(const std::string& n);
graph::v1::Node ReadNode(const pqxx::row& row, int first);

// The columns that ReadVersion reads, of the row `u` of `unit`.
inline constexpr int kVersionColumns = 5;
std::string VersionColumns(const std::string& u);
void ReadVersion(const pqxx::row& row, int first, graph::v1::UnitVersion* out);

// The columns that ReadVariable reads, of the row `v` of `variable`.
inline constexpr int kVariableColumns = 4;
std::string VariableColumns(const std::string& v);
// What the row says beyond the facts, which are there already.
void ReadVariable(const pqxx::row& row, int first, VariableRow* out);

// Of rows of `node_grant`.
std::string GrantColumns();
graph::v1::Grant ReadGrant(const pqxx::row& row);

// Raises the version; NOT_FOUND or VERSION_MISMATCH when the row is not as expected.
absl::Status Touch(pqxx::work& tx, const Uuid& id, const std::string& name, int level, std::int64_t expected_version,
                   const std::string& what);
// Closes the variables of a unit that are more open than it, or gives all of them its level.
void SetVariableLevels(pqxx::work& tx, const std::string& unit, int level, bool all);
// RESOURCE_EXHAUSTED when the owner has `most` nodes of this type already and is no administrator.
absl::Status CheckQuota(pqxx::work& tx, const std::string& owner, graph::v1::NodeType type, std::int64_t most,
                        const std::string& what);
void InsertNode(pqxx::work& tx, const std::string& id, graph::v1::NodeType type, const std::string& parent,
                const std::string& owner, const std::string& name, int level);

// Writes into the audit that the actor did `action` to a node that is there now. `details` are facts, never secrets;
// the actor's personal access token is added.
void Audit(pqxx::work& tx, const Actor& actor, const std::string& action, const std::string& node,
           nlohmann::json details = nlohmann::json::object());

// The same for many nodes in one statement.
void AuditAll(pqxx::work& tx, const Actor& actor, const std::string& action, const std::vector<std::string>& nodes,
              nlohmann::json details = nlohmann::json::object());
// The text of an array of such ids.
std::string ArrayOf(const std::vector<std::string>& ids);
std::string ArrayOf(const std::vector<Uuid>& ids);

// The node that a request with the same idempotency key made; else `id` is remembered for the next one.
absl::StatusOr<std::optional<Uuid>> MadeBefore(pqxx::work& tx, const Actor& actor, const std::string& id);

}  // namespace pepeunit::graph_registry
