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

// `level` of a node and `owner_id`, as a viewer's condition: his own, all for an administrator, and what the level
// opens. The same rule as libs/access for nodes without grants; a test holds the two together.
std::string VisibleTo(pqxx::work& tx, const Viewer& viewer, const std::string& owner, const std::string& level);

std::string MsOf(const std::string& column);

// Columns of GetFacts' query, beginning at `first`.
inline constexpr char kFactColumns[] = "n.id, n.type, n.parent_id, n.owner_id, n.level, n.version, p.level";
NodeFacts ReadFacts(const pqxx::row& row, int first);

// Raises the version; NOT_FOUND or VERSION_MISMATCH when the row is not as expected (0: any version).
absl::Status Touch(pqxx::work& tx, const Uuid& id, const std::string& name, int level, std::int64_t expected_version,
                   const std::string& what);
void InsertNode(pqxx::work& tx, const std::string& id, graph::v1::NodeType type, const std::string& parent,
                const std::string& owner, const std::string& name, int level);

}  // namespace pepeunit::graph_registry
