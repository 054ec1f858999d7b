#include <algorithm>

#include "link_rows.h"
#include "pepeunit/base/errors.h"
#include "postgres_store.h"
#include "rows.h"
#include "unit_events.h"
#include "visibility.h"
#include "writes.h"

namespace pepeunit::graph_registry {
namespace {

// In the audit of both ends, for each may have an owner of its own, who may not know the other one.
void AuditEnds(pqxx::work& tx, const Actor& actor, const char* action, const graph::v1::Link& link) {
  const nlohmann::json details = {{"link_id", link.id()}, {"type", graph::v1::LinkType_Name(link.type())}};
  Audit(tx, actor, action, link.output_id(), details);
  Audit(tx, actor, action, link.input_id(), details);
}

absl::Status TooMany(std::int64_t most, const std::string& where) {
  return Error(absl::StatusCode::kResourceExhausted, "LIMIT",
               "At most " + std::to_string(most) + " links may " + where + "; delete some first.");
}

// Both ends stay, and so do all rights that the link hangs on, until it is there for whoever changes them to see. The
// locks on its source and its input make the counts exact.
absl::Status LockEnds(pqxx::work& tx, const graph::v1::Link& link) {
  tx.exec_params(
      "SELECT 1 FROM node WHERE id IN (SELECT id FROM node WHERE id IN ($1, $2) UNION SELECT parent_id FROM node"
      " WHERE id IN ($1, $2)) ORDER BY id FOR SHARE",
      link.output_id(), link.input_id());
  if (tx.exec_params("SELECT 1 FROM account WHERE id = $1 FOR SHARE", link.creator_id()).empty())
    return NotFound("user");  // deleted at this moment
  const auto source =
      tx.exec_params("SELECT 1 FROM variable v JOIN unit u ON u.id = v.unit_id WHERE v.id = $1 FOR NO KEY UPDATE OF u",
                     link.output_id());
  const auto input = tx.exec_params("SELECT 1 FROM variable WHERE id = $1 FOR NO KEY UPDATE", link.input_id());
  return source.empty() || input.empty() ? NotFound("variable") : absl::OkStatus();
}

absl::Status CheckBounds(pqxx::work& tx, const graph::v1::Link& link, const LinkBounds& bounds) {
  const auto leaving = tx.exec_params1(
      "SELECT n.owner_id, count(l.id), count(*) FILTER (WHERE l.creator_id <> n.owner_id),"
      " count(*) FILTER (WHERE l.creator_id = $2) FROM variable v JOIN node n ON n.id = v.unit_id"
      " JOIN variable o ON o.unit_id = v.unit_id LEFT JOIN link l ON l.output_id = o.id WHERE v.id = $1 GROUP BY 1",
      link.output_id(), link.creator_id());
  if (leaving[1].as<std::int64_t>() >= bounds.from_unit) return TooMany(bounds.from_unit, "leave one unit");
  if (link.creator_id() != leaving[0].c_str()) {
    if (leaving[3].as<std::int64_t>() >= bounds.of_one_other())
      return TooMany(bounds.of_one_other(), "be drawn from somebody else's unit by one user");
    if (leaving[2].as<std::int64_t>() >= bounds.of_others())
      return TooMany(bounds.of_others(), "be drawn from one unit by others than its owner");
  }
  const auto meeting = tx.exec_params1("SELECT count(*) FROM link WHERE input_id = $1", link.input_id());
  if (meeting[0].as<std::int64_t>() >= bounds.into_input) return TooMany(bounds.into_input, "meet in one input");
  return absl::OkStatus();
}

absl::StatusOr<LinkRow> Imagine(pqxx::work& tx, const graph::v1::Link& link) {
  const auto rows = tx.exec_params(
      LinkRowQuery("(SELECT $1::uuid AS id, $2::smallint AS type, $3::uuid AS output_id, $4::uuid AS input_id,"
                   " $5::uuid AS creator_id, now() AS created_at, NULL::timestamptz AS rate_hit_at,"
                   " NULL::timestamptz AS fan_out_hit_at) l"),
      link.id(), static_cast<int>(link.type()), link.output_id(), link.input_id(), link.creator_id());
  if (rows.empty()) return NotFound("variable");
  Columns columns(rows[0]);
  return ReadLinkRow(columns);
}

std::string SourceOf(pqxx::work& tx, const graph::v1::Link& link) {
  return tx.exec_params1("SELECT unit_id FROM variable WHERE id = $1", link.output_id())[0].c_str();
}

// A portion of the links at a node, or of all, in order: their ids, and whether the viewer sees anything of them.
std::string LinksSeenQuery(const access::Subject& viewer, const Uuid& node, const Uuid& after, int portion,
                           postgres::Params* params) {
  const auto sees = [&](const std::string& n, const std::string& p) {
    const std::string own = node.IsNil() ? "true" : params->Id(node) + " IN (" + n + ".id, " + p + ".id)";
    return "(" + own + " AND " + VisibleTo(*params, viewer, n, p) + ")";
  };
  return "SELECT l.id, " + sees("o", "ou") + " OR " + sees("i", "iu") + " FROM (SELECT * FROM " +
         LinksTouching(*params, node) + " linked WHERE id > " + params->Id(after) + " ORDER BY id LIMIT " +
         std::to_string(portion) +
         ") l JOIN node o ON o.id = l.output_id JOIN node ou ON ou.id = o.parent_id"
         " JOIN node i ON i.id = l.input_id JOIN node iu ON iu.id = i.parent_id ORDER BY l.id";
}

}  // namespace

absl::StatusOr<Uuid> PostgresStore::CreateLink(const Actor& actor, const graph::v1::Link& link,
                                               const LinkBounds& bounds,
                                               const std::function<absl::Status(const LinkRow&)>& may) {
  return Make("create link", actor, link.id(), [&](pqxx::work& tx) -> absl::Status {
    PEPEUNIT_RETURN_IF_ERROR(LockEnds(tx, link));
    PEPEUNIT_ASSIGN_OR_RETURN(const LinkRow row, Imagine(tx, link));
    PEPEUNIT_RETURN_IF_ERROR(may(row));
    PEPEUNIT_RETURN_IF_ERROR(CheckBounds(tx, link, bounds));
    tx.exec_params("INSERT INTO link (id, type, output_id, input_id, creator_id) VALUES ($1, $2, $3, $4, $5)",
                   link.id(), static_cast<int>(link.type()), link.output_id(), link.input_id(), link.creator_id());
    AuditEnds(tx, actor, "link.create", link);
    AppendUnitChanged(tx, SourceOf(tx, link));
    return absl::OkStatus();
  });
}

absl::StatusOr<SeenLink> PostgresStore::GetLink(const Uuid& id, const access::Subject& viewer) {
  postgres::Params params;
  const std::string query = LinkRowQuery("link l", SeenColumns(params, viewer)) + "WHERE l.id = " + params.Id(id);
  return pool_.Read<SeenLink>("get link", query, params, [](const pqxx::result& rows) -> absl::StatusOr<SeenLink> {
    if (rows.empty()) return NotFound("link");
    SeenLink seen = ReadSeen(rows[0]);
    if (!seen.output && !seen.input) return NotFound("link");
    return seen;
  });
}

// Links are told apart by little of each, in portions that grow while few of them are to be seen; all that a link is
// shown with is read for the page alone.
absl::StatusOr<LinkPage> PostgresStore::ListLinks(const access::Subject& viewer, const Uuid& node, const Page& page) {
  constexpr int kMostAtOnce = 4000;
  std::vector<Uuid> shown;
  int read = 0;
  Uuid read_to = page.after;
  bool more = true;
  const auto wanted = static_cast<std::size_t>(page.limit) + 1;
  for (int portion = 2 * (page.limit + 1); more && shown.size() < wanted && read < kMostLinksRead;
       portion = std::min({4 * portion, kMostAtOnce, kMostLinksRead - read})) {
    postgres::Params params;
    const std::string query = LinksSeenQuery(viewer, node, read_to, portion, &params);
    PEPEUNIT_ASSIGN_OR_RETURN(const int links, pool_.Read<int>("list links", query, params,
                                                               [&](const pqxx::result& rows) -> absl::StatusOr<int> {
                                                                 for (const auto& row : rows) {
                                                                   read_to = ReadUuid(row[0]);
                                                                   if (row[1].as<bool>() && shown.size() < wanted)
                                                                     shown.push_back(read_to);
                                                                 }
                                                                 return static_cast<int>(rows.size());
                                                               }));
    read += links;
    more = links == portion;
  }
  postgres::Params params;
  const std::string from = "(SELECT * FROM link WHERE id = ANY (" + params.Ids(shown) + ")) l";
  const std::string query = LinkRowQuery(from, SeenColumns(params, viewer)) + "ORDER BY l.id";
  return pool_.Read<LinkPage>("list links", query, params, [&](const pqxx::result& rows) -> absl::StatusOr<LinkPage> {
    LinkPage links;
    if (more && shown.size() < wanted) links.read_to = read_to;
    for (const auto& row : rows) {
      if (SeenLink link = ReadSeen(row); link.output || link.input) links.links.push_back(std::move(link));
    }
    return links;
  });
}

absl::Status PostgresStore::MarkLink(const Uuid& id, common::v1::LinkBound bound, std::int64_t time_ms) {
  const std::string column = bound == common::v1::LINK_BOUND_RATE ? "rate_hit_at" : "fan_out_hit_at";
  return pool_.Transact("mark link", [&](pqxx::work& tx) {
    tx.exec_params("UPDATE link SET " + column + " = to_timestamp($2 / 1000.0) WHERE id = $1 AND (" + column +
                       " IS NULL OR " + column + " < to_timestamp($2 / 1000.0))",
                   id.ToString(), time_ms);
    return absl::OkStatus();
  });
}

absl::Status PostgresStore::DeleteLink(const Actor& actor, const Uuid& id) {
  return Change("delete link", actor, [&](pqxx::work& tx) -> absl::Status {
    // Its source first, as everything else that changes links: two of them wait for each other in one order.
    tx.exec_params(
        "SELECT 1 FROM unit WHERE id = (SELECT v.unit_id FROM link l JOIN variable v ON v.id = l.output_id"
        " WHERE l.id = $1) FOR NO KEY UPDATE",
        id.ToString());
    const auto rows = tx.exec_params("DELETE FROM link l WHERE l.id = $1 RETURNING " + LinkColumns(), id.ToString());
    if (rows.empty()) return NotFound("link");
    Columns columns(rows[0]);
    const graph::v1::Link link = ReadLink(columns);
    AuditEnds(tx, actor, "link.delete", link);
    AppendLinkRemoved(tx, SourceOf(tx, link), link.id());
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<LinkRow>> PostgresStore::LinksFrom(const Uuid& unit) {
  postgres::Params params;
  const std::string query = LinkRowQuery("link l") + "WHERE ov.unit_id = " + params.Id(unit) + " ORDER BY l.id";
  return pool_.Read<std::vector<LinkRow>>("links from", query, params, ReadLinkRows);
}

absl::StatusOr<std::vector<LinkRow>> PostgresStore::LinksAt(const Uuid& node) {
  postgres::Params params;
  const std::string from = "(SELECT * FROM " + LinksTouching(params, node) + " linked ORDER BY id LIMIT " +
                           std::to_string(kMostLinksRead) + ") l";
  return pool_.Read<std::vector<LinkRow>>("links at", LinkRowQuery(from) + "ORDER BY l.id", params, ReadLinkRows);
}

absl::StatusOr<LinkRow> PostgresStore::ImagineLink(const graph::v1::Link& link) {
  return pool_.Query<LinkRow>("imagine link", [&](pqxx::work& tx) { return Imagine(tx, link); });
}

}  // namespace pepeunit::graph_registry
