#include "link_rows.h"

namespace pepeunit::graph_registry {
namespace {

constexpr int kDrawn = 6;  // LinkColumns

}  // namespace

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

std::string LinkRowQuery(const std::string& from, const std::string& more) {
  constexpr char kUser[] = "1", kUnit[] = "2";  // graph.v1.SubjectKind
  return "SELECT " + LinkColumns() +
         ", a.id IS NOT NULL, coalesce(a.administrator, false), coalesce(a.devices_stopped, false), " + GrantTo("o", kUnit, "iv.unit_id") + ", " + GrantTo("i", kUnit, "ov.unit_id") + ", " + VariableColumns("ov") +
         ", " + VariableColumns("iv") + ", " + FactColumns("o", "ou", GrantTo("o", kUser, "l.creator_id")) + ", " +
         FactColumns("i", "iu", GrantTo("i", kUser, "l.creator_id")) + (more.empty() ? "" : ", " + more) + " FROM " +
         from +
         " JOIN variable ov ON ov.id = l.output_id JOIN node o ON o.id = ov.id JOIN node ou ON ou.id = o.parent_id"
         " JOIN variable iv ON iv.id = l.input_id JOIN node i ON i.id = iv.id JOIN node iu ON iu.id = i.parent_id"
         " LEFT JOIN account a ON a.id = l.creator_id ";
}

LinkRow ReadLinkRow(const pqxx::row& row) {
  constexpr int kVariables = kDrawn + 5, kOutput = kVariables + 2 * kVariableColumns, kInput = kOutput + kFacts;
  static_assert(kInput + kFacts == kLinkRow);
  LinkRow link{ReadLink(row),
               row[kDrawn].as<bool>(),
               row[kDrawn + 1].as<bool>(),
               row[kDrawn + 2].as<bool>(),
               {ReadFacts(row, kOutput), {}},
               {ReadFacts(row, kInput), {}}};
  link.output.granted_to_peer = static_cast<access::Role>(row[kDrawn + 3].as<int>());
  link.input.granted_to_peer = static_cast<access::Role>(row[kDrawn + 4].as<int>());
  ReadVariable(row, kVariables, &link.output);
  ReadVariable(row, kVariables + kVariableColumns, &link.input);
  return link;
}

std::vector<LinkRow> ReadLinkRows(const pqxx::result& result) {
  std::vector<LinkRow> rows;
  for (const auto& row : result) rows.push_back(ReadLinkRow(row));
  return rows;
}

std::string SeenColumns(postgres::Params& params, const access::Subject& viewer) {
  return VisibleTo(params, viewer, "o", "ou") + ", " + VisibleTo(params, viewer, "i", "iu");
}

SeenLink ReadSeen(const pqxx::row& row) {
  return {ReadLinkRow(row), row[kLinkRow].as<bool>(), row[kLinkRow + 1].as<bool>()};
}

std::string LinksTouching(postgres::Params& params, const Uuid& node) {
  if (node.IsNil()) return "link";
  const std::string id = params.Id(node);
  const std::string ends = "(SELECT v.id FROM variable v WHERE v.id = " + id + " OR v.unit_id = " + id + ")";
  return "(SELECT * FROM link WHERE output_id IN " + ends + " UNION SELECT * FROM link WHERE input_id IN " + ends + ")";
}

}  // namespace pepeunit::graph_registry
