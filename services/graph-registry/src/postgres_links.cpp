#include "pepeunit/base/errors.h"
#include "postgres_store.h"
#include "rows.h"
#include "unit_events.h"

namespace pepeunit::graph_registry {
namespace {

graph::v1::Link ReadLink(const pqxx::row& row) {
  graph::v1::Link link;
  link.set_id(row[0].c_str());
  link.set_type(static_cast<graph::v1::LinkType>(row[1].as<int>()));
  link.set_output_id(row[2].c_str());
  link.set_input_id(row[3].c_str());
  link.set_creator_id(row[4].c_str());
  ReadTime(row[5], link.mutable_created_at());
  return link;
}

std::string LinkColumns() { return "l.id, l.type, l.output_id, l.input_id, l.creator_id, " + MsOf("l.created_at"); }

// Links of `from` (an expression with the columns of `link`, named l) with what decides whether they hold.
std::string LinkRowQuery(const std::string& from) {
  constexpr char kUser[] = "1", kUnit[] = "2";  // graph.v1.SubjectKind
  return "SELECT " + LinkColumns() + ", coalesce(a.administrator, false), ov.definition, ov.unit_id, iv.definition, " +
         "iv.unit_id, " + GrantTo("o", kUnit, "iv.unit_id") + ", " + GrantTo("i", kUnit, "ov.unit_id") + ", " +
         FactColumns("o", "ou", GrantTo("o", kUser, "l.creator_id")) + ", " +
         FactColumns("i", "iu", GrantTo("i", kUser, "l.creator_id")) + " FROM " + from +
         " JOIN variable ov ON ov.id = l.output_id JOIN node o ON o.id = ov.id JOIN node ou ON ou.id = o.parent_id"
         " JOIN variable iv ON iv.id = l.input_id JOIN node i ON i.id = iv.id JOIN node iu ON iu.id = i.parent_id"
         " LEFT JOIN account a ON a.id = l.creator_id ";
}

LinkRow ReadLinkRow(const pqxx::row& row) {
  constexpr int kOutput = 13, kInput = kOutput + kFacts;
  LinkRow link{ReadLink(row), row[6].as<bool>(), {ReadFacts(row, kOutput), {}}, {ReadFacts(row, kInput), {}}};
  link.output.variable = ReadVariable(row[7], row[8], link.output.facts);
  link.input.variable = ReadVariable(row[9], row[10], link.input.facts);
  link.output.granted_to_peer = static_cast<access::Role>(row[11].as<int>());
  link.input.granted_to_peer = static_cast<access::Role>(row[12].as<int>());
  return link;
}

// In the audit of both ends, for each may have an owner of its own.
void AuditEnds(pqxx::work& tx, const Actor& actor, const char* action, const graph::v1::Link& link) {
  const nlohmann::json details = {{"link_id", link.id()},
                                  {"type", graph::v1::LinkType_Name(link.type())},
                                  {"output_id", link.output_id()},
                                  {"input_id", link.input_id()}};
  Audit(tx, actor, action, link.output_id(), details);
  Audit(tx, actor, action, link.input_id(), details);
}

std::vector<LinkRow> ReadLinkRows(const pqxx::result& result) {
  std::vector<LinkRow> rows;
  for (const auto& row : result) rows.push_back(ReadLinkRow(row));
  return rows;
}

// The links that touch a unit or a variable, or all; an expression with the columns of `link`.
std::string LinksTouching(pqxx::work& tx, const Uuid& node) {
  if (node.IsNil()) return "link";
  const std::string id = tx.quote(node.ToString()) + "::uuid";
  const std::string ends = "(SELECT v.id FROM variable v WHERE v.id = " + id + " OR v.unit_id = " + id + ")";
  return "(SELECT * FROM link WHERE output_id IN " + ends + " UNION SELECT * FROM link WHERE input_id IN " + ends +
         ") linked";
}

}  // namespace

absl::StatusOr<Uuid> PostgresStore::CreateLink(const Actor& actor, const graph::v1::Link& link, std::int64_t most) {
  return Make("create link", actor, link.id(), [&](pqxx::work& tx) -> absl::Status {
    // Both ends stay until the link hangs on them; the lock on the source makes the count exact.
    const auto source = tx.exec_params(
        "SELECT u.id FROM variable v JOIN unit u ON u.id = v.unit_id WHERE v.id = $1 FOR NO KEY UPDATE OF u",
        link.output_id());
    const auto input = tx.exec_params("SELECT 1 FROM variable WHERE id = $1 FOR KEY SHARE", link.input_id());
    if (source.empty() || input.empty()) return NotFound("variable");
    const std::string unit = source[0][0].c_str();
    const auto count =
        tx.exec_params1("SELECT count(*) FROM link l JOIN variable o ON o.id = l.output_id WHERE o.unit_id = $1", unit);
    if (count[0].as<std::int64_t>() >= most) {
      return Error(absl::StatusCode::kResourceExhausted, "LIMIT",
                   "At most " + std::to_string(most) + " links may leave one unit; delete some first.");
    }
    tx.exec_params("INSERT INTO link (id, type, output_id, input_id, creator_id) VALUES ($1, $2, $3, $4, $5)",
                   link.id(), static_cast<int>(link.type()), link.output_id(), link.input_id(), link.creator_id());
    AuditEnds(tx, actor, "link.create", link);
    AppendUnitChanged(tx, unit);
    return absl::OkStatus();
  });
}

absl::StatusOr<graph::v1::Link> PostgresStore::GetLink(const Uuid& id) {
  return pool_.Query<graph::v1::Link>("get link", [&](pqxx::work& tx) -> absl::StatusOr<graph::v1::Link> {
    const auto rows = tx.exec_params("SELECT " + LinkColumns() + " FROM link l WHERE l.id = $1", id.ToString());
    if (rows.empty()) return NotFound("link");
    return ReadLink(rows[0]);
  });
}

absl::StatusOr<LinkPage> PostgresStore::ListLinks(const access::Subject& viewer, const Uuid& node, const Page& page) {
  return pool_.Query<LinkPage>("list links", [&](pqxx::work& tx) -> absl::StatusOr<LinkPage> {
    const std::string from = LinksTouching(tx, node);
    const std::string after = " WHERE id > " + tx.quote(page.after.ToString()) + "::uuid ORDER BY id ";
    const auto result = tx.exec("SELECT " + LinkColumns() + " FROM (SELECT * FROM " + from + after + "LIMIT " +
                                std::to_string(kMostLinksRead) +
                                ") l JOIN node o ON o.id = l.output_id JOIN node ou ON ou.id = o.parent_id"
                                " JOIN node i ON i.id = l.input_id JOIN node iu ON iu.id = i.parent_id WHERE " +
                                VisibleTo(tx, viewer, "o", "ou") + " AND " + VisibleTo(tx, viewer, "i", "iu") +
                                " ORDER BY l.id LIMIT " + std::to_string(page.limit + 1));
    LinkPage links;
    for (const auto& row : result) links.links.push_back(ReadLink(row));
    if (links.links.size() <= static_cast<std::size_t>(page.limit)) {
      const auto last =
          tx.exec("SELECT id FROM " + from + after + "OFFSET " + std::to_string(kMostLinksRead - 1) + " LIMIT 1");
      if (!last.empty()) links.read_to = ReadUuid(last[0][0]);
    }
    return links;
  });
}

absl::Status PostgresStore::DeleteLink(const Actor& actor, const Uuid& id) {
  return Change("delete link", [&](pqxx::work& tx) -> absl::Status {
    const auto rows =
        tx.exec_params("DELETE FROM link l USING variable o WHERE l.id = $1 AND o.id = l.output_id RETURNING " +
                           LinkColumns() + ", o.unit_id",
                       id.ToString());
    if (rows.empty()) return NotFound("link");
    AuditEnds(tx, actor, "link.delete", ReadLink(rows[0]));
    AppendUnitChanged(tx, rows[0][6].c_str());
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<LinkRow>> PostgresStore::LinksFrom(const Uuid& unit) {
  using Rows = std::vector<LinkRow>;
  return pool_.Query<Rows>("links from", [&](pqxx::work& tx) -> absl::StatusOr<Rows> {
    return ReadLinkRows(
        tx.exec_params(LinkRowQuery("link l") + "WHERE ov.unit_id = $1 ORDER BY l.id", unit.ToString()));
  });
}

absl::StatusOr<std::vector<LinkRow>> PostgresStore::LinksAt(const Uuid& node) {
  using Rows = std::vector<LinkRow>;
  return pool_.Query<Rows>("links at", [&](pqxx::work& tx) -> absl::StatusOr<Rows> {
    const std::string from =
        "(SELECT * FROM " + LinksTouching(tx, node) + " ORDER BY id LIMIT " + std::to_string(kMostLinksRead) + ") l";
    return ReadLinkRows(tx.exec(LinkRowQuery(from) + "ORDER BY l.id"));
  });
}

absl::StatusOr<LinkRow> PostgresStore::ImagineLink(const graph::v1::Link& link) {
  return pool_.Query<LinkRow>("imagine link", [&](pqxx::work& tx) -> absl::StatusOr<LinkRow> {
    const auto rows = tx.exec_params(
        LinkRowQuery("(SELECT $1::uuid AS id, $2::smallint AS type, $3::uuid AS output_id, $4::uuid AS input_id,"
                     " $5::uuid AS creator_id, now() AS created_at) l"),
        link.id(), static_cast<int>(link.type()), link.output_id(), link.input_id(), link.creator_id());
    if (rows.empty()) return NotFound("variable");
    return ReadLinkRow(rows[0]);
  });
}

}  // namespace pepeunit::graph_registry
