#include "link_rows.h"

#include "visibility.h"

namespace pepeunit::graph_registry {
namespace {

constexpr char kToUser[] = "1", kToUnit[] = "2";  // graph.v1.SubjectKind

// A role on the end `n`; not looked for where the creator needs none, for it is his. An administrator may draw a link
// with a token that has not his power.
std::string GrantAt(const std::string& n, const std::string& kind, const std::string& subject) {
  return "CASE WHEN " + n + ".owner_id = l.creator_id THEN 0 ELSE " + GrantTo(n, kind, subject) + " END";
}

void ReadHit(const pqxx::field& milliseconds, common::v1::LinkBound bound, graph::v1::Link* out) {
  if (milliseconds.is_null()) return;
  auto* hit = out->add_bounds_hit();
  hit->set_bound(bound);
  ReadTime(milliseconds, hit->mutable_time());
}

}  // namespace

std::string LinkColumns() {
  return "l.id, l.type, l.output_id, l.input_id, l.creator_id, " + MsOf("l.created_at") + ", " + MsOf("l.rate_hit_at") +
         ", " + MsOf("l.fan_out_hit_at");
}

graph::v1::Link ReadLink(Columns& columns) {
  graph::v1::Link link;
  link.set_id(columns.Next().c_str());
  link.set_type(static_cast<graph::v1::LinkType>(columns.Next().as<int>()));
  link.set_output_id(columns.Next().c_str());
  link.set_input_id(columns.Next().c_str());
  link.set_creator_id(columns.Next().c_str());
  ReadTime(columns.Next(), link.mutable_created_at());
  ReadHit(columns.Next(), common::v1::LINK_BOUND_RATE, &link);
  ReadHit(columns.Next(), common::v1::LINK_BOUND_FAN_OUT, &link);
  return link;
}

std::string LinkRowQuery(const std::string& from, const std::string& more) {
  std::string columns = LinkColumns() +
                        ", a.id IS NOT NULL, coalesce(a.administrator, false)"
                        ", coalesce(a.devices_stopped, false)";
  const auto add_end = [&](const std::string& n, const std::string& parent, const std::string& variable,
                           const std::string& peer) {
    columns += ", " + FactColumns(n, parent, GrantAt(n, kToUser, "l.creator_id")) + ", " + VariableColumns(variable) +
               ", " + GrantAt(n, kToUnit, peer);
  };
  add_end("o", "ou", "ov", "iv.unit_id");
  add_end("i", "iu", "iv", "ov.unit_id");
  return "SELECT " + columns + (more.empty() ? "" : ", " + more) + " FROM " + from +
         " JOIN variable ov ON ov.id = l.output_id JOIN node o ON o.id = ov.id JOIN node ou ON ou.id = o.parent_id"
         " JOIN variable iv ON iv.id = l.input_id JOIN node i ON i.id = iv.id JOIN node iu ON iu.id = i.parent_id"
         " LEFT JOIN account a ON a.id = l.creator_id ";
}

LinkRow ReadLinkRow(Columns& columns) {
  LinkRow row;
  row.link = ReadLink(columns);
  row.creator_exists = columns.Next().as<bool>();
  row.creator_administrator = columns.Next().as<bool>();
  row.creator_stopped = columns.Next().as<bool>();
  for (VariableRow* end : {&row.output, &row.input}) {
    end->facts = ReadFacts(columns);
    ReadVariable(columns, end);
    end->granted_to_peer = static_cast<access::Role>(columns.Next().as<int>());
  }
  return row;
}

std::vector<LinkRow> ReadLinkRows(const pqxx::result& result) {
  std::vector<LinkRow> rows;
  for (const auto& row : result) {
    Columns columns(row);
    rows.push_back(ReadLinkRow(columns));
  }
  return rows;
}

std::string SeenColumns(postgres::Params& params, const access::Subject& viewer) {
  return VisibleTo(params, viewer, "o", "ou") + ", " + VisibleTo(params, viewer, "i", "iu");
}

SeenLink ReadSeen(const pqxx::row& row) {
  Columns columns(row);
  SeenLink seen;
  seen.row = ReadLinkRow(columns);
  seen.output = columns.Next().as<bool>();
  seen.input = columns.Next().as<bool>();
  return seen;
}

std::string LinksTouching(postgres::Params& params, const Uuid& node) {
  if (node.IsNil()) return "link";
  const std::string id = params.Id(node);
  const std::string ends = "(SELECT v.id FROM variable v WHERE v.id = " + id + " OR v.unit_id = " + id + ")";
  return "(SELECT * FROM link WHERE output_id IN " + ends + " UNION SELECT * FROM link WHERE input_id IN " + ends + ")";
}

}  // namespace pepeunit::graph_registry
