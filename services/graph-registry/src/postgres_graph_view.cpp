#include "postgres_graph_view.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "link_rows.h"
#include "pepeunit/base/errors.h"
#include "rows.h"
#include "visibility.h"

namespace pepeunit::graph_registry {
namespace {

using postgres::Params;

// More nodes than that whose names begin alike are found faster by walking over all.
constexpr int kFewNames = 1000;

// The filter's name as a pattern of LIKE.
std::string PatternOf(const GraphFilter& filter) {
  std::string pattern = filter.name_begins ? "" : "%";
  for (const char c : filter.name) {
    if (c == '%' || c == '_' || c == '\\') pattern += '\\';
    pattern += c;
  }
  return pattern + '%';
}

// Whether the name of the node `n` is like the pattern, an expression.
std::string Named(const std::string& n, const std::string& pattern) {
  return "lower(" + n + ".name) LIKE lower(" + pattern + ")";
}

// What the viewer may see of the nodes whose ids `from` has, an expression with a column `id`, and whether each is
// `named`. More conditions may follow.
std::string RowQuery(Params& params, const access::Subject& viewer, const std::string& named, const std::string& from) {
  return "SELECT " + FactColumns("n", "p", GrantTo(params, "n", viewer)) + ", " + VersionColumns("u") +
         ", v.kind, v.definition, " + named + " FROM " + from +
         " JOIN node n USING (id) LEFT JOIN node p ON p.id = n.parent_id LEFT JOIN unit u ON u.id = n.id"
         " LEFT JOIN variable v ON v.id = n.id WHERE " +
         VisibleTo(params, viewer, "n", "p");
}

GraphRow ReadGraphRow(const pqxx::row& row) {
  Columns columns(row);
  GraphRow read;
  const NodeFacts& facts = read.facts = ReadFacts(columns);
  graph::v1::GraphNode& node = read.node;
  node.set_id(facts.id.ToString());
  node.set_type(facts.type);
  node.set_name(facts.name);
  node.set_owner_id(facts.access.owner_id.ToString());
  node.set_level(static_cast<common::v1::AccessLevel>(facts.access.level));
  if (!facts.parent_id.IsNil()) node.set_parent_id(facts.parent_id.ToString());
  if (auto version = ReadVersion(columns)) {
    read.repo_unit = Uuid::Parse(version->repo_unit_id()).value_or(Uuid{});
    *node.mutable_version() = *std::move(version);
  }
  const auto kind = columns.Next(), definition = columns.Next();
  if (!kind.is_null()) {
    graph::v1::Variable variable;
    variable.ParseFromString(ReadBytes(definition));
    node.set_variable_kind(static_cast<graph::v1::VariableKind>(kind.as<int>()));
    node.set_value_type(variable.type());
  }
  read.named = columns.Next().as<bool>();
  return read;
}

std::vector<GraphRow> ReadGraphRows(const pqxx::result& result) {
  std::vector<GraphRow> rows;
  for (const auto& row : result) rows.push_back(ReadGraphRow(row));
  return rows;
}

// The parts of Expand: queries for from, kind and to.
class Steps {
 public:
  Steps(const access::Subject& viewer, int most) : viewer_(viewer), most_(most) {}

  // Which of these, that have no parents, the viewer sees: each as a step to itself.
  void Seen(const std::vector<Uuid>& nodes) {
    if (nodes.empty()) return;
    Add(graph::v1::EDGE_KIND_UNSPECIFIED, nodes,
        "JOIN node s ON s.id = f.id WHERE " + VisibleTo(params_, viewer_, "s", "s"));
  }
  // All nodes without parents of a scope.
  void Ranges(graph::v1::EdgeKind kind, const std::vector<Uuid>& nodes, const NodeRange& range) {
    if (nodes.empty()) return;
    const std::string ids = VisibleIds(params_, viewer_, range, {.after = {}, .limit = most_ - 1});
    Add(kind, nodes, "CROSS JOIN LATERAL (" + ids + ") s");
  }
  // The variables of `from`, which joins them as n.
  void Variables(graph::v1::EdgeKind kind, const std::vector<Uuid>& nodes, const std::string& from) {
    if (nodes.empty()) return;
    Add(kind, nodes,
        "CROSS JOIN LATERAL (SELECT n.id FROM " + from + " AND " + VisibleTo(params_, viewer_, "n", "p") +
            " ORDER BY n.id LIMIT " + std::to_string(most_) + ") s");
  }
  const std::string& query() const { return query_; }
  const Params& params() const { return params_; }

 private:
  void Add(graph::v1::EdgeKind kind, const std::vector<Uuid>& nodes, const std::string& rest) {
    query_ += std::string(query_.empty() ? "" : " UNION ALL ") + "SELECT f.id, " +
              std::to_string(static_cast<int>(kind)) + ", s.id FROM unnest(" + params_.Ids(nodes) + ") f (id) " + rest;
  }

  Params params_;
  const access::Subject& viewer_;
  const int most_;
  std::string query_;
};

// The types of a scope that the filter shows; for those without parents none means all of them.
std::vector<int> TypesOf(const GraphScope& scope, const GraphFilter& filter) {
  std::vector<int> types;
  for (int type = graph::v1::NODE_TYPE_USER; type <= graph::v1::NODE_TYPE_OUTPUT_VARIABLE; ++type) {
    const bool here = !scope.repo_unit.IsNil() ? type == graph::v1::NODE_TYPE_UNIT
                      : !scope.owner.IsNil()
                          ? type == graph::v1::NODE_TYPE_REPO_UNIT || type == graph::v1::NODE_TYPE_UNIT
                          : true;
    const bool shown =
        filter.types.empty() || std::find(filter.types.begin(), filter.types.end(), type) != filter.types.end();
    if (here && shown) types.push_back(type);
  }
  return types;
}

// The ids of all nodes with names like the pattern that a level, ownership or a grant lets the viewer see, as a query;
// empty when they are many. Whether they are depends on nothing that he may not see.
std::string FewNamed(pqxx::work& tx, Params& params, const access::Subject& viewer, const std::string& pattern) {
  std::string all, most;
  for (const std::string& way : WaysToSee(params, viewer)) {
    const std::string query = "(SELECT node.id FROM node WHERE " + way + " AND " + Named("node", pattern) + " LIMIT " +
                              std::to_string(kFewNames + 1) + ")";
    all += (all.empty() ? "" : " UNION ") + query;
    most += (most.empty() ? "" : ", ") + ("(SELECT count(*) FROM " + query + " named)");
  }
  if (postgres::Exec(tx, "SELECT greatest(" + most + ")", params)[0][0].as<int>() > kFewNames) return "";
  if (const std::string granted = GrantedTo(params, viewer); !granted.empty())
    all += " UNION SELECT n.id FROM (" + granted + ") granted JOIN node n USING (id) WHERE " + Named("n", pattern);
  return all;
}

std::string Also(Params& params, const GraphFilter& filter, const std::vector<int>& types) {
  std::string text;
  for (const int type : types) text += (text.empty() ? "" : ",") + std::to_string(type);
  std::string condition = " AND n.type IN (" + text + ")";
  if (!filter.owner.IsNil()) condition += " AND n.owner_id = " + params.Id(filter.owner);
  if (filter.level != 0) condition += " AND n.level = " + std::to_string(filter.level);
  return condition;
}

// How a query is run.
using Run = std::function<absl::StatusOr<pqxx::result>(const std::string& text, const Params& params)>;

// Along the ranges of what the viewer may see. `pattern` is one of LIKE, as an expression, or empty.
absl::StatusOr<GraphScan> ScanRange(const Run& run, const access::Subject& viewer, const GraphScope& scope,
                                    const GraphFilter& filter, const std::string& pattern, const Page& page) {
  Params params;
  NodeRange range{.scope = {}, .types = TypesOf(scope, filter), .owner = filter.owner, .level = filter.level};
  if (!scope.owner.IsNil()) range.scope = "node.owner_id = " + params.Id(scope.owner);
  if (!scope.repo_unit.IsNil()) {
    range.scope = "node.repo_unit_id = " + params.Id(scope.repo_unit);
    range.types.clear();  // they are units, and the index has no type
  }
  const std::string named = pattern.empty() ? "true" : Named("n", pattern);
  const int reads = pattern.empty() ? page.limit + 1 : std::max(kMostNodesRead, page.limit + 1);
  const std::string ids = VisibleIds(params, viewer, range, {.after = page.after, .limit = reads - 1});
  // All of the parameters are in these ids, which keeps this query's numbering for the next one.
  const Params of_ids = params;
  const std::string rows = RowQuery(params, viewer, named, "(" + ids + ") f") + " AND " + named +
                           " ORDER BY n.id LIMIT " + std::to_string(page.limit + 1);
  GraphScan scan;
  PEPEUNIT_ASSIGN_OR_RETURN(const pqxx::result read, run(rows, params));
  scan.rows = ReadGraphRows(read);
  if (scan.rows.size() > static_cast<std::size_t>(page.limit)) return scan;
  const std::string end = "SELECT id FROM (" + ids + ") f ORDER BY id OFFSET " + std::to_string(reads - 1);
  PEPEUNIT_ASSIGN_OR_RETURN(const pqxx::result last, run(end, of_ids));
  if (!last.empty()) scan.read_to = ReadUuid(last[0][0]);
  return scan;
}

}  // namespace

absl::StatusOr<std::vector<GraphRow>> PostgresGraphView::GetNodes(const access::Subject& viewer,
                                                                  const std::vector<Uuid>& ids,
                                                                  const GraphFilter& filter) {
  using Rows = std::vector<GraphRow>;
  if (ids.empty()) return Rows{};
  Params params;
  const std::string named = filter.name.empty() ? "true" : Named("n", params.Text(PatternOf(filter)));
  const std::string query =
      RowQuery(params, viewer, named, "unnest(" + params.Ids(ids) + ") f (id)") + " ORDER BY n.id";
  return pool_.Read<Rows>("get nodes", query, params, ReadGraphRows);
}

absl::StatusOr<std::vector<GraphStep>> PostgresGraphView::Expand(const access::Subject& viewer,
                                                                 const std::vector<GraphRow>& nodes, int most) {
  using Found = std::vector<GraphStep>;
  std::map<graph::v1::NodeType, std::vector<Uuid>> by_type;
  std::set<Uuid> sources;
  for (const GraphRow& row : nodes) {
    by_type[row.facts.type].push_back(row.facts.id);
    for (const GraphStep& edge : EdgesInto(row)) sources.insert(edge.from);
  }
  const std::string parent = " JOIN node p ON p.id = n.parent_id WHERE ";
  Steps steps(viewer, most);
  steps.Ranges(graph::v1::EDGE_KIND_OWNS, by_type[graph::v1::NODE_TYPE_USER],
               {.scope = "node.owner_id = f.id", .types = {graph::v1::NODE_TYPE_REPO_UNIT, graph::v1::NODE_TYPE_UNIT}});
  steps.Ranges(graph::v1::EDGE_KIND_MADE_FROM, by_type[graph::v1::NODE_TYPE_REPO_UNIT],
               {.scope = "node.repo_unit_id = f.id"});
  steps.Variables(graph::v1::EDGE_KIND_HAS, by_type[graph::v1::NODE_TYPE_UNIT],
                  "node n" + parent + "n.parent_id = f.id");
  steps.Variables(graph::v1::EDGE_KIND_LINK, by_type[graph::v1::NODE_TYPE_OUTPUT_VARIABLE],
                  "link l JOIN node n ON n.id = l.input_id" + parent + "l.output_id = f.id");
  steps.Variables(graph::v1::EDGE_KIND_LINK, by_type[graph::v1::NODE_TYPE_INPUT_VARIABLE],
                  "link l JOIN node n ON n.id = l.output_id" + parent + "l.input_id = f.id");
  steps.Seen({sources.begin(), sources.end()});
  if (steps.query().empty()) return Found{};
  return pool_.Read<Found>("expand", steps.query(), steps.params(),
                           [&](const pqxx::result& rows) -> absl::StatusOr<Found> {
                             Found found;
                             std::set<Uuid> seen;
                             for (const auto& row : rows) {
                               const auto kind = static_cast<graph::v1::EdgeKind>(row[1].as<int>());
                               if (kind == graph::v1::EDGE_KIND_UNSPECIFIED)
                                 seen.insert(ReadUuid(row[0]));
                               else
                                 found.push_back({ReadUuid(row[0]), kind, ReadUuid(row[2])});
                             }
                             for (const GraphRow& row : nodes) {
                               for (const GraphStep& edge : EdgesInto(row)) {
                                 if (seen.contains(edge.from)) found.push_back({edge.to, edge.kind, edge.from});
                               }
                             }
                             return found;
                           });
}

absl::StatusOr<GraphScan> PostgresGraphView::Scan(const access::Subject& viewer, const GraphScope& scope,
                                                  const GraphFilter& filter, const Page& page) {
  const std::vector<int> types = TypesOf(scope, filter);
  if (types.empty()) return GraphScan{};
  if (filter.name.empty()) {
    const auto run = [&](const std::string& text, const Params& params) {
      return pool_.Read<pqxx::result>("scan graph", text, params,
                                      [](const pqxx::result& rows) -> absl::StatusOr<pqxx::result> { return rows; });
    };
    return ScanRange(run, viewer, scope, filter, "", page);
  }
  // The name is in the text: an index finds beginnings only of what the plan knows.
  return pool_.Query<GraphScan>("scan graph by name", [&](pqxx::work& tx) -> absl::StatusOr<GraphScan> {
    const std::string pattern = tx.quote(PatternOf(filter));
    if (scope.owner.IsNil() && scope.repo_unit.IsNil() && filter.name_begins) {
      Params params;
      if (const std::string few = FewNamed(tx, params, viewer, pattern); !few.empty()) {
        const std::string query = RowQuery(params, viewer, "true", "(" + few + ") f") + Also(params, filter, types) +
                                  " AND n.id > " + params.Id(page.after) + " ORDER BY n.id LIMIT " +
                                  std::to_string(page.limit + 1);
        return GraphScan{.rows = ReadGraphRows(postgres::Exec(tx, query, params)), .read_to = {}};
      }
    }
    const auto run = [&](const std::string& text, const Params& params) -> absl::StatusOr<pqxx::result> {
      return postgres::Exec(tx, text, params);
    };
    return ScanRange(run, viewer, scope, filter, pattern, page);
  });
}

absl::StatusOr<std::vector<SeenLink>> PostgresGraphView::LinksOf(const access::Subject& viewer,
                                                                 const std::vector<Uuid>& variables) {
  using Rows = std::vector<SeenLink>;
  if (variables.empty()) return Rows{};
  Params params;
  const std::string ids = "ANY (" + params.Ids(variables) + ")";
  const std::string from = "(SELECT * FROM (SELECT * FROM link WHERE output_id = " + ids +
                           " UNION SELECT * FROM link WHERE input_id = " + ids + ") touching ORDER BY id LIMIT " +
                           std::to_string(kMostLinksRead) + ") l";
  const std::string query = LinkRowQuery(from, SeenColumns(params, viewer)) + " ORDER BY l.id";
  return pool_.Read<Rows>("links of", query, params, [](const pqxx::result& result) -> absl::StatusOr<Rows> {
    Rows rows;
    for (const auto& row : result) rows.push_back(ReadSeen(row));
    return rows;
  });
}

}  // namespace pepeunit::graph_registry
