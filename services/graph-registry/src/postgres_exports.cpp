#include "postgres_exports.h"

#include "link_rows.h"
#include "rows.h"

namespace pepeunit::graph_registry {

absl::StatusOr<std::vector<Uuid>> PostgresExports::ListOwn(const Uuid& user, graph::v1::NodeType type,
                                                           const Page& page) {
  using Rows = std::vector<Uuid>;
  return pool_.Query<Rows>("list own nodes", [&](pqxx::work& tx) -> absl::StatusOr<Rows> {
    Rows rows;
    for (const auto& row :
         tx.exec_params("SELECT id FROM node WHERE owner_id = $1 AND type = $2 AND id > $3 ORDER BY id LIMIT $4",
                        user.ToString(), static_cast<int>(type), page.after.ToString(), page.limit + 1)) {
      rows.push_back(ReadUuid(row[0]));
    }
    return rows;
  });
}

absl::StatusOr<std::vector<SeenLink>> PostgresExports::ListOwnLinks(const access::Subject& user, const Page& page) {
  using Rows = std::vector<SeenLink>;
  return pool_.Query<Rows>("list own links", [&](pqxx::work& tx) -> absl::StatusOr<Rows> {
    postgres::Params params;
    const std::string id = params.Id(user.id);
    const std::string after = " AND d.id > " + params.Id(page.after);
    const auto touching = [&](const std::string& end) {
      return " UNION SELECT d.id FROM node n JOIN link d ON d." + end + " = n.id WHERE n.owner_id = " + id + after;
    };
    const std::string ids = "SELECT d.id FROM link d WHERE d.creator_id = " + id + after + touching("output_id") +
                            touching("input_id") + " ORDER BY id LIMIT " + std::to_string(page.limit + 1);
    Rows rows;
    const std::string query =
        LinkRowQuery("(SELECT * FROM link WHERE id IN (" + ids + ")) l", SeenColumns(params, user)) + "ORDER BY l.id";
    for (const auto& row : postgres::Exec(tx, query, params)) {
      rows.push_back(ReadSeen(row));
    }
    return rows;
  });
}

absl::StatusOr<std::vector<graph::v1::Grant>> PostgresExports::ListOwnGrants(const Uuid& user,
                                                                             const graph::v1::Grant& after, int limit) {
  using Rows = std::vector<graph::v1::Grant>;
  return pool_.Query<Rows>("list own grants", [&](pqxx::work& tx) -> absl::StatusOr<Rows> {
    const std::string nil = Uuid().ToString();
    const std::string next = " AND (g.node_id, g.subject_kind, g.subject_id) > ($2::uuid, $3::smallint, $4::uuid)";
    const auto result = tx.exec_params(
        "SELECT " + GrantColumns() + " FROM (SELECT g.* FROM node n JOIN node_grant g ON g.node_id = n.id" +
            " WHERE n.owner_id = $1" + next + " UNION SELECT g.* FROM node_grant g WHERE g.subject_kind = $5" +
            " AND g.subject_id = $1" + next + ") own ORDER BY node_id, subject_kind, subject_id LIMIT $6",
        user.ToString(), after.node_id().empty() ? nil : after.node_id(), static_cast<int>(after.subject_kind()),
        after.subject_id().empty() ? nil : after.subject_id(), static_cast<int>(graph::v1::SUBJECT_KIND_USER), limit);
    Rows rows;
    for (const auto& row : result) rows.push_back(ReadGrant(row));
    return rows;
  });
}

}  // namespace pepeunit::graph_registry
