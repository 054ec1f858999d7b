#pragma once

#include <cstdint>
#include <pqxx/pqxx>
#include <string>

#include "pepeunit/base/uuid.h"
#include "store.h"

// Pieces of SQL and of its results that the parts of PostgresStore share.
namespace pepeunit::graph_registry {

Uuid ReadUuid(const pqxx::field& field);  // nil for NULL
std::string ReadBytes(const pqxx::field& field);
void ReadTime(const pqxx::field& milliseconds, google::protobuf::Timestamp* out);

// The condition under which a viewer may see a node, of its owner and (effective) level; what libs/access says of nodes
// without grants, asked of it for each level.
std::string VisibleTo(pqxx::work& tx, const access::Subject& viewer, const std::string& owner,
                      const std::string& level);
// A query for the ids of the nodes of a type without parents that the viewer may see: a page and one more, in order.
// It takes them from one range of an index for each way to see them, so its cost does not grow with the nodes that
// the viewer may not see.
std::string VisibleIds(pqxx::work& tx, const access::Subject& viewer, graph::v1::NodeType type, const Page& page);

std::string MsOf(const std::string& column);

// Columns of GetFacts' query, beginning at `first`.
inline constexpr char kFactColumns[] = "n.id, n.type, n.parent_id, n.owner_id, n.level, n.version, p.level";
NodeFacts ReadFacts(const pqxx::row& row, int first);

// Raises the version; NOT_FOUND or VERSION_MISMATCH when the row is not as expected.
absl::Status Touch(pqxx::work& tx, const Uuid& id, const std::string& name, int level, std::int64_t expected_version,
                   const std::string& what);
void InsertNode(pqxx::work& tx, const std::string& id, graph::v1::NodeType type, const std::string& parent,
                const std::string& owner, const std::string& name, int level);

}  // namespace pepeunit::graph_registry
