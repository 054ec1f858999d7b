#include "rows.h"

#include <google/protobuf/util/time_util.h>

#include "pepeunit/base/errors.h"
#include "rights.h"

namespace pepeunit::graph_registry {
namespace {

constexpr int kMostOpen = static_cast<int>(access::Level::kPublic);

// The lowest level of other people's nodes that the viewer may see.
int LowestVisible(const access::Subject& viewer) {
  int lowest = kMostOpen;
  for (int level = kMostOpen; level >= static_cast<int>(access::Level::kPrivate); --level) {
    const access::Node node{.owner_id = {}, .level = static_cast<access::Level>(level)};
    if (access::RoleOf(viewer, node) < access::Role::kReader) break;
    lowest = level;
  }
  return lowest;
}

}  // namespace

Uuid ReadUuid(const pqxx::field& field) {
  return field.is_null() ? Uuid{} : Uuid::Parse(field.c_str()).value_or(Uuid{});
}

std::string ReadBytes(const pqxx::field& field) {
  if (field.is_null()) return "";
  const pqxx::binarystring raw(field);
  return {raw.get(), raw.size()};
}

void ReadTime(const pqxx::field& milliseconds, google::protobuf::Timestamp* out) {
  *out = google::protobuf::util::TimeUtil::MillisecondsToTimestamp(milliseconds.as<std::int64_t>());
}

std::string MsOf(const std::string& column) { return "(extract(epoch FROM " + column + ") * 1000)::bigint"; }

std::string VisibleTo(pqxx::work& tx, const access::Subject& viewer, const std::string& owner,
                      const std::string& level) {
  std::string condition = level + " >= " + std::to_string(LowestVisible(viewer));
  if (viewer.kind == access::Subject::Kind::kUser) {
    condition = "(" + condition + " OR " + owner + " = " + tx.quote(viewer.id.ToString()) + "::uuid)";
  }
  return condition;
}

std::string VisibleIds(pqxx::work& tx, const access::Subject& viewer, graph::v1::NodeType type, const Page& page) {
  const std::string after =
      " AND id > " + tx.quote(page.after.ToString()) + "::uuid ORDER BY id LIMIT " + std::to_string(page.limit + 1);
  const std::string from = "(SELECT id FROM node WHERE type = " + std::to_string(static_cast<int>(type)) + " AND ";
  std::string ranges;
  for (int level = LowestVisible(viewer); level <= kMostOpen; ++level) {
    ranges += from + "level = " + std::to_string(level) + after + ") UNION ";
  }
  if (viewer.kind == access::Subject::Kind::kUser) {
    ranges += from + "owner_id = " + tx.quote(viewer.id.ToString()) + "::uuid" + after + ") UNION ";
  }
  ranges.resize(ranges.size() - std::string(" UNION ").size());
  return "SELECT id FROM (" + ranges + ") visible ORDER BY id LIMIT " + std::to_string(page.limit + 1);
}

NodeFacts ReadFacts(const pqxx::row& row, int first) {
  const auto at = [&](int i) { return row[static_cast<pqxx::row::size_type>(first + i)]; };
  NodeFacts facts;
  facts.id = ReadUuid(at(0));
  facts.type = static_cast<graph::v1::NodeType>(at(1).as<int>());
  facts.parent_id = ReadUuid(at(2));
  facts.access.owner_id = ReadUuid(at(3));
  facts.access.level = static_cast<access::Level>(at(4).as<int>());
  facts.version = at(5).as<std::int64_t>();
  if (!at(6).is_null()) facts.access.ceiling = static_cast<access::Level>(at(6).as<int>());
  return facts;
}

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

void InsertNode(pqxx::work& tx, const std::string& id, graph::v1::NodeType type, const std::string& parent,
                const std::string& owner, const std::string& name, int level) {
  tx.exec_params(
      "INSERT INTO node (id, type, parent_id, owner_id, name, level) VALUES ($1, $2, nullif($3, '')::uuid, $4, $5, $6)",
      id, static_cast<int>(type), parent, owner, name, level);
}

}  // namespace pepeunit::graph_registry
