#include "rows.h"

#include <google/protobuf/util/time_util.h>

#include "pepeunit/base/errors.h"

namespace pepeunit::graph_registry {

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

std::string VisibleTo(pqxx::work& tx, const Viewer& viewer, const std::string& owner, const std::string& level) {
  if (viewer.administrator) return "true";
  if (viewer.user_id.IsNil()) return level + " >= " + std::to_string(static_cast<int>(access::Level::kPublic));
  return "(" + owner + " = " + tx.quote(viewer.user_id.ToString()) + "::uuid OR " + level +
         " >= " + std::to_string(static_cast<int>(access::Level::kInstance)) + ")";
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
      " WHERE id = $1 AND ($4 = 0 OR version = $4)",
      id.ToString(), name, level, expected_version);
  if (updated.affected_rows() == 1) return absl::OkStatus();
  if (tx.exec_params("SELECT 1 FROM node WHERE id = $1", id.ToString()).empty()) return NotFound(what);
  return Error(absl::StatusCode::kFailedPrecondition, "VERSION_MISMATCH",
               "The node has changed since it was read; read it again and repeat the change.");
}

void InsertNode(pqxx::work& tx, const std::string& id, graph::v1::NodeType type, const std::string& parent,
                const std::string& owner, const std::string& name, int level) {
  tx.exec_params(
      "INSERT INTO node (id, type, parent_id, owner_id, name, level) VALUES ($1, $2, nullif($3, '')::uuid, $4, $5, $6)",
      id, static_cast<int>(type), parent, owner, name, level);
}

}  // namespace pepeunit::graph_registry
