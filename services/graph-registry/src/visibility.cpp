#include "visibility.h"

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

// graph.v1.SubjectKind; 0 for those who can have no grant.
int KindOf(const access::Subject& viewer) {
  switch (viewer.kind) {
    case access::Subject::Kind::kUser:
      return graph::v1::SUBJECT_KIND_USER;
    case access::Subject::Kind::kUnit:
      return graph::v1::SUBJECT_KIND_UNIT;
    case access::Subject::Kind::kRemoteUser:
      return graph::v1::SUBJECT_KIND_REMOTE_USER;
    case access::Subject::Kind::kAnonymous:
      break;
  }
  return 0;
}

}  // namespace

std::string GrantTo(const std::string& n, const std::string& kind, const std::string& subject) {
  return "coalesce((SELECT max(g.role) FROM node_grant g WHERE g.node_id IN (" + n + ".id, " + n +
         ".parent_id) AND g.subject_kind = " + kind + " AND g.subject_id = " + subject + "), 0)";
}

std::string GrantTo(postgres::Params& params, const std::string& n, const access::Subject& viewer) {
  const int kind = KindOf(viewer);
  if (kind == 0) return "0";
  return GrantTo(n, std::to_string(kind), params.Id(viewer.id));
}

std::string VisibleTo(postgres::Params& params, const access::Subject& viewer, const std::string& n,
                      const std::string& p) {
  std::string condition =
      "least(" + n + ".level, " + p + ".level) >= " + std::to_string(LowestVisible(viewer));  // ignores NULL
  if (viewer.kind == access::Subject::Kind::kUser) {
    condition += " OR " + n + ".owner_id = " + params.Id(viewer.id);
  }
  if (KindOf(viewer) != 0 && !viewer.administrator) condition += " OR " + GrantTo(params, n, viewer) + " > 0";
  return '(' + condition + ')';
}

std::vector<std::string> WaysToSee(postgres::Params& params, const access::Subject& viewer, int only) {
  std::vector<std::string> ways;
  const std::string at = only == 0 ? "" : " AND node.level = " + std::to_string(only);
  for (int level = LowestVisible(viewer); level <= kMostOpen; ++level) {
    if (only == 0 || only == level) ways.push_back("node.level = " + std::to_string(level));
  }
  if (viewer.kind == access::Subject::Kind::kUser && !viewer.administrator)
    ways.push_back("node.owner_id = " + params.Id(viewer.id) + at);
  return ways;
}

std::string GrantedTo(postgres::Params& params, const access::Subject& viewer) {
  if (KindOf(viewer) == 0 || viewer.administrator) return "";
  const std::string to =
      "g.subject_kind = " + std::to_string(KindOf(viewer)) + " AND g.subject_id = " + params.Id(viewer.id);
  return "SELECT g.node_id AS id FROM node_grant g WHERE " + to +
         " UNION SELECT c.id FROM node_grant g JOIN node c ON c.parent_id = g.node_id WHERE " + to;
}

std::string VisibleIds(postgres::Params& params, const access::Subject& viewer, const NodeRange& range,
                       const Page& page) {
  const std::string after = params.Id(page.after);
  const std::string last = " ORDER BY node.id LIMIT " + std::to_string(page.limit + 1) + ") UNION ";
  std::string among = range.scope.empty() ? "" : " AND " + range.scope;
  if (!range.owner.IsNil()) among += " AND node.owner_id = " + params.Id(range.owner);
  std::string ranges;
  const auto add = [&](int type) {
    const std::string of_type = type == 0 ? "" : " AND node.type = " + std::to_string(type);
    for (const std::string& way : WaysToSee(params, viewer, range.level))
      ranges += "(SELECT node.id FROM node WHERE " + way + among + of_type + " AND node.id > " + after + last;
    if (KindOf(viewer) == 0 || viewer.administrator) return;
    const std::string at = range.level == 0 ? "" : " AND node.level = " + std::to_string(range.level);
    const std::string granted =
        " WHERE g.subject_kind = " + std::to_string(KindOf(viewer)) + " AND g.subject_id = " + params.Id(viewer.id);
    ranges += "(SELECT node.id FROM node_grant g JOIN node ON node.id = g.node_id" + granted + among + at +
              (type == 0 ? "" : " AND g.node_type = " + std::to_string(type)) + " AND g.node_id > " + after +
              " ORDER BY g.node_id LIMIT " + std::to_string(page.limit + 1) + ") UNION ";
    const bool variable = type == graph::v1::NODE_TYPE_INPUT_VARIABLE || type == graph::v1::NODE_TYPE_OUTPUT_VARIABLE;
    if (!variable) return;
    ranges += "(SELECT node.id FROM node_grant g JOIN node ON node.parent_id = g.node_id" + granted + among + at +
              " AND g.node_type = " + std::to_string(static_cast<int>(graph::v1::NODE_TYPE_UNIT)) + of_type +
              " AND node.id > " + after + last;
  };
  for (const int type : range.types) add(type);
  if (range.types.empty()) add(0);
  // So that there is a range where a level shows the viewer nothing, and no parameter without a use.
  ranges += "(SELECT node.id FROM node WHERE false" + among + " AND node.id > " + after + ")";
  return "SELECT id FROM (" + ranges + ") visible (id) ORDER BY id LIMIT " + std::to_string(page.limit + 1);
}

std::string VisibleIds(postgres::Params& params, const access::Subject& viewer, graph::v1::NodeType type,
                       const Page& page) {
  return VisibleIds(params, viewer, NodeRange{.types = {static_cast<int>(type)}}, page);
}

}  // namespace pepeunit::graph_registry
