#include "neighbourhoods.h"

#include <algorithm>
#include <map>
#include <set>

#include "fields.h"
#include "links.h"
#include "rights.h"

namespace pepeunit::graph_registry {
namespace {

constexpr char kAnyNode[] = "node";
constexpr int kMostDepth = 4;
constexpr std::size_t kLeastRead = 100;  // nodes at once, where a filter may show few of them
constexpr PageSizes kSizes{.usual = 100, .most = 500};

GraphFilter ReadFilter(const google::protobuf::RepeatedField<int>& types, const std::string& owner,
                       common::v1::AccessLevel level, const std::string& name, Fields* fields) {
  GraphFilter filter;
  filter.types.assign(types.begin(), types.end());
  std::sort(filter.types.begin(), filter.types.end());
  filter.types.erase(std::unique(filter.types.begin(), filter.types.end()), filter.types.end());
  for (const int type : filter.types) {
    if (type != graph::v1::NODE_TYPE_UNSPECIFIED && graph::v1::NodeType_IsValid(type)) continue;
    fields->Fail("types", "must be USER, REPO_UNIT, UNIT, INPUT_VARIABLE or OUTPUT_VARIABLE");
    break;
  }
  if (!owner.empty()) filter.owner = fields->Id("owner_id", owner);
  filter.level = fields->Level("level", level, common::v1::ACCESS_LEVEL_UNSPECIFIED);
  if (!name.empty()) filter.name = fields->Name("name", name);
  return filter;
}

// Binds a cursor to what was asked for.
std::string ListOf(const std::string& what, const GraphFilter& filter) {
  std::string list = what + ' ';
  for (const int type : filter.types) list += std::to_string(type);
  return list + ' ' + filter.owner.ToString() + ' ' + std::to_string(filter.level) + ' ' + filter.name;
}

bool Fits(const GraphRow& row, const GraphFilter& filter) {
  const auto& types = filter.types;
  return row.named && (types.empty() || std::find(types.begin(), types.end(), row.facts.type) != types.end()) &&
         (filter.owner.IsNil() || filter.owner == row.facts.access.owner_id) &&
         (filter.level == 0 || filter.level == static_cast<int>(row.facts.access.level));
}

bool IsVariable(const GraphRow& row) {
  const auto type = row.facts.type;
  return type == graph::v1::NODE_TYPE_INPUT_VARIABLE || type == graph::v1::NODE_TYPE_OUTPUT_VARIABLE;
}

bool Adjacent(const GraphRow& one, const GraphRow& other) {
  const auto leads = [](const GraphRow& from, const GraphRow& to) {
    const auto edges = EdgesInto(to);
    return std::any_of(edges.begin(), edges.end(), [&](const GraphStep& edge) { return edge.from == from.facts.id; });
  };
  return leads(one, other) || leads(other, one);
}

graph::v1::GraphNode Describe(const GraphRow& row, const access::Subject& viewer) {
  graph::v1::GraphNode node = row.node;
  node.set_role(static_cast<graph::v1::Role>(access::RoleOf(viewer, row.facts.access)));
  return node;
}

graph::v1::GraphEdge EdgeOf(const SeenLink& seen) {
  const graph::v1::Link link = Show(seen);
  graph::v1::GraphEdge edge;
  edge.set_kind(graph::v1::EDGE_KIND_LINK);
  edge.set_from_id(link.output_id());
  edge.set_to_id(link.input_id());
  edge.set_link_id(link.id());
  edge.set_link_type(link.type());
  edge.set_link_state(link.state());
  *edge.mutable_bounds_hit() = link.bounds_hit();
  edge.set_concealed(link.concealed());
  return edge;
}

}  // namespace

std::vector<GraphStep> EdgesInto(const GraphRow& row) {
  std::vector<GraphStep> edges;
  const NodeFacts& facts = row.facts;
  if (facts.type == graph::v1::NODE_TYPE_REPO_UNIT || facts.type == graph::v1::NODE_TYPE_UNIT)
    edges.push_back({facts.access.owner_id, graph::v1::EDGE_KIND_OWNS, facts.id});
  if (!row.repo_unit.IsNil()) edges.push_back({row.repo_unit, graph::v1::EDGE_KIND_MADE_FROM, facts.id});
  if (!facts.parent_id.IsNil()) edges.push_back({facts.parent_id, graph::v1::EDGE_KIND_HAS, facts.id});
  return edges;
}

absl::StatusOr<GraphScan> Neighbourhoods::ReadNeighbours(const Question& q, const GraphRow& centre, const Page& page) {
  const NodeFacts& facts = centre.facts;
  if (facts.type == graph::v1::NODE_TYPE_USER)
    return view_.Scan(q.viewer, {.owner = facts.id, .repo_unit = {}}, q.filter, page);
  GraphScan scan;
  std::vector<Uuid> ids;
  if (facts.type == graph::v1::NODE_TYPE_REPO_UNIT) {
    PEPEUNIT_ASSIGN_OR_RETURN(scan, view_.Scan(q.viewer, {.owner = {}, .repo_unit = facts.id}, q.filter, page));
    ids.push_back(facts.access.owner_id);
  } else {
    PEPEUNIT_ASSIGN_OR_RETURN(const auto steps, view_.Expand(q.viewer, {centre}, kMostLinksRead));
    for (const GraphStep& step : steps) ids.push_back(step.to);
  }
  // What a unit or variable is joined to is bounded.
  std::erase_if(ids, [&](const Uuid& id) { return id <= page.after || (!scan.read_to.IsNil() && id > scan.read_to); });
  PEPEUNIT_ASSIGN_OR_RETURN(auto rows, view_.GetNodes(q.viewer, ids, q.filter));
  for (GraphRow& row : rows) {
    if (Fits(row, q.filter)) scan.rows.push_back(std::move(row));
  }
  std::sort(scan.rows.begin(), scan.rows.end(),
            [](const GraphRow& a, const GraphRow& b) { return a.facts.id < b.facts.id; });
  return scan;
}

absl::StatusOr<Neighbourhoods::Read> Neighbourhoods::ReadNear(const Question& q, const GraphRow& centre) {
  Read read;
  Page page{.after = q.distance == 1 ? q.page.after : Uuid{}, .limit = q.page.limit};
  if (q.page.after.IsNil() && Fits(centre, q.filter)) {
    read.nodes.push_back({centre, 0});
    --page.limit;
  }
  if (q.depth == 0) return read;
  PEPEUNIT_ASSIGN_OR_RETURN(GraphScan scan, ReadNeighbours(q, centre, page));
  for (GraphRow& row : scan.rows) read.nodes.push_back({std::move(row), 1});
  read.read_to = scan.read_to;
  return read;
}

bool Neighbourhoods::IsAfter(const Question& q, const Found& found) {
  return q.page.after.IsNil() || std::pair(found.distance, found.row.facts.id) > std::pair(q.distance, q.page.after);
}

absl::StatusOr<std::vector<Uuid>> Neighbourhoods::Reach(const Question& q, std::size_t first, Walked* walked) {
  std::vector<GraphRow> frontier;
  std::map<Uuid, Found*> by_id;
  for (std::size_t i = first; i < walked->found.size(); ++i) {
    Found& found = walked->found[i];
    frontier.push_back(found.row);
    by_id[found.row.facts.id] = &found;
  }
  PEPEUNIT_ASSIGN_OR_RETURN(auto steps, view_.Expand(q.viewer, frontier, bounds_.neighbours + 1));
  std::sort(steps.begin(), steps.end());
  std::vector<Uuid> reached;
  int of_kind = 0;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const GraphStep& step = steps[i];
    of_kind = i > 0 && steps[i - 1].from == step.from && steps[i - 1].kind == step.kind ? of_kind + 1 : 1;
    if (of_kind > bounds_.neighbours ||
        (!walked->reached.contains(step.to) && walked->reached.size() >= static_cast<std::size_t>(bounds_.nodes))) {
      by_id[step.from]->more = true;
    } else if (walked->reached.insert(step.to).second) {
      reached.push_back(step.to);
    }
  }
  std::sort(reached.begin(), reached.end());
  return reached;
}

absl::Status Neighbourhoods::ReadReached(const Question& q, int distance, std::vector<Uuid> reached, Walked* walked) {
  const auto shown = [&](const Found& found) { return Fits(found.row, q.filter) && IsAfter(q, found); };
  // Where the walk goes on from here all are needed, at its end only the page.
  const bool last = distance == q.depth;
  if (last && distance == q.distance) std::erase_if(reached, [&](const Uuid& id) { return id <= q.page.after; });
  const auto wanted = static_cast<std::size_t>(q.page.limit) + 1;
  auto count = static_cast<std::size_t>(std::count_if(walked->found.begin(), walked->found.end(), shown));
  for (std::size_t at = 0; at < reached.size() && !(last && count >= wanted);) {
    const std::size_t portion =
        std::min(reached.size() - at, last ? std::max(wanted - count, kLeastRead) : reached.size());
    const auto begin = reached.begin() + static_cast<std::ptrdiff_t>(at);
    PEPEUNIT_ASSIGN_OR_RETURN(
        auto rows, view_.GetNodes(q.viewer, {begin, begin + static_cast<std::ptrdiff_t>(portion)}, q.filter));
    for (GraphRow& row : rows) {
      walked->found.push_back({std::move(row), distance});
      if (shown(walked->found.back())) ++count;
    }
    at += portion;
  }
  return absl::OkStatus();
}

absl::StatusOr<Neighbourhoods::Walked> Neighbourhoods::Walk(const Question& q, const GraphRow& centre) {
  Walked walked{.found = {{centre, 0}}, .reached = {centre.facts.id}};
  std::size_t first = 0;
  for (int distance = 1; distance <= q.depth && first < walked.found.size(); ++distance) {
    PEPEUNIT_ASSIGN_OR_RETURN(auto reached, Reach(q, first, &walked));
    first = walked.found.size();
    PEPEUNIT_RETURN_IF_ERROR(ReadReached(q, distance, std::move(reached), &walked));
  }
  return walked;
}

absl::Status Neighbourhoods::AddEdges(const Question& q, const std::vector<Found>& nodes,
                                      const std::vector<Found>& known, const Shown& shown,
                                      graph::v1::Neighbourhood* out) {
  std::set<Uuid> here, ends;
  std::vector<Uuid> variables;
  std::vector<GraphStep> edges;
  for (const Found& found : nodes) {
    here.insert(found.row.facts.id);
    if (IsVariable(found.row)) variables.push_back(found.row.facts.id);
    for (const GraphStep& edge : EdgesInto(found.row)) edges.push_back(edge), ends.insert(edge.from);
  }
  PEPEUNIT_ASSIGN_OR_RETURN(const auto links, view_.LinksOf(q.viewer, variables));
  for (const SeenLink& seen : links) ends.insert(seen.row.output.facts.id);
  std::map<Uuid, const GraphRow*> from;
  for (const Found& found : known) from[found.row.facts.id] = &found.row;
  std::erase_if(ends, [&](const Uuid& id) { return from.contains(id); });
  PEPEUNIT_ASSIGN_OR_RETURN(const auto rows, view_.GetNodes(q.viewer, {ends.begin(), ends.end()}, q.filter));
  for (const GraphRow& row : rows) from[row.facts.id] = &row;
  const auto joins = [&](const Uuid& one, const Uuid& other) {
    const auto row = from.find(one);
    return here.contains(other) && row != from.end() && Fits(*row->second, q.filter) && shown(*row->second, other);
  };
  for (const GraphStep& step : edges) {
    if (!joins(step.from, step.to)) continue;
    graph::v1::GraphEdge* edge = out->add_edges();
    edge->set_kind(step.kind);
    edge->set_from_id(step.from.ToString());
    edge->set_to_id(step.to.ToString());
  }
  for (const SeenLink& seen : links) {
    const Uuid &output = seen.row.output.facts.id, &input = seen.row.input.facts.id;
    const bool whole = seen.output && seen.input;
    const bool end_here = (seen.output && here.contains(output)) || (seen.input && here.contains(input));
    if (whole ? joins(output, input) : end_here) *out->add_edges() = EdgeOf(seen);
  }
  return absl::OkStatus();
}

absl::Status Neighbourhoods::Get(const rpc::Caller& caller, const graph::v1::GetNeighbourhoodRequest& request,
                                 graph::v1::Neighbourhood& out) {
  Fields fields;
  Question q{.viewer = SubjectOf(caller), .filter = {}, .depth = request.has_depth() ? request.depth() : 1, .page = {}};
  const Uuid id = fields.Id("id", request.id());
  if (q.depth < 0 || q.depth > kMostDepth) fields.Fail("depth", "must be from 0 to 4");
  q.filter = ReadFilter(request.types(), request.owner_id(), request.level(), request.name(), &fields);
  PEPEUNIT_RETURN_IF_ERROR(fields.Finish());
  const std::string list = ListOf("around " + id.ToString() + ' ' + std::to_string(q.depth), q.filter);
  // The distance of a page's last node is part of what its cursor is bound to.
  const auto at = [&](int distance) { return list + " at " + std::to_string(distance); };
  absl::StatusOr<Page> page = ReadPage(at(0), request.page_size(), request.cursor(), kSizes);
  while (!page.ok() && !request.cursor().empty() && q.distance < q.depth)
    page = ReadPage(at(++q.distance), request.page_size(), request.cursor(), kSizes);
  PEPEUNIT_RETURN_IF_ERROR(page.status());
  q.page = *page;

  PEPEUNIT_ASSIGN_OR_RETURN(const auto centres, view_.GetNodes(q.viewer, {id}, q.filter));
  if (centres.empty()) return NotFound(kAnyNode);
  const GraphRow& centre = centres[0];
  PEPEUNIT_RETURN_IF_ERROR(Check(caller, centre.facts, access::Role::kReader, kAnyNode));

  Read read;
  Walked walked;
  Shown shown = [&](const GraphRow& from, const Uuid&) { return walked.reached.contains(from.facts.id); };
  if (q.depth <= 1) {
    PEPEUNIT_ASSIGN_OR_RETURN(read, ReadNear(q, centre));
    walked.found = {{centre, 0}};
    shown = [&](const GraphRow& from, const Uuid& to) {
      if (from.facts.id == id) return q.depth > 0;
      const bool joined = Adjacent(from, centre) || (to == id && IsVariable(from));  // by the link that leads there
      return q.depth > 0 && joined;
    };
  } else {
    PEPEUNIT_ASSIGN_OR_RETURN(walked, Walk(q, centre));
    for (const Found& found : walked.found) {
      if (Fits(found.row, q.filter) && IsAfter(q, found)) read.nodes.push_back(found);
    }
  }
  if (read.nodes.size() > static_cast<std::size_t>(q.page.limit)) {
    read.nodes.resize(static_cast<std::size_t>(q.page.limit));
    out.set_next_cursor(MakeCursor(at(read.nodes.back().distance), read.nodes.back().row.facts.id));
  } else if (!read.read_to.IsNil()) {
    out.set_next_cursor(MakeCursor(at(1), read.read_to));
  }
  for (const Found& found : read.nodes) {
    graph::v1::GraphNode* node = out.add_nodes();
    *node = Describe(found.row, q.viewer);
    node->set_distance(found.distance);
    node->set_more(found.more);
  }
  return AddEdges(q, read.nodes, walked.found, shown, &out);
}

absl::Status Neighbourhoods::Search(const rpc::Caller& caller, const graph::v1::SearchNodesRequest& request,
                                    graph::v1::SearchNodesResponse& out) {
  Fields fields;
  GraphFilter filter = ReadFilter(request.types(), request.owner_id(), request.level(), request.name(), &fields);
  filter.name_begins = true;
  PEPEUNIT_RETURN_IF_ERROR(fields.Finish());
  const std::string list = ListOf("search", filter);
  PEPEUNIT_ASSIGN_OR_RETURN(const Page page, ReadPage(list, request.page_size(), request.cursor(), kSizes));
  const access::Subject viewer = SubjectOf(caller);
  PEPEUNIT_ASSIGN_OR_RETURN(GraphScan scan, view_.Scan(viewer, {}, filter, page));
  if (scan.rows.size() > static_cast<std::size_t>(page.limit)) {
    scan.rows.resize(static_cast<std::size_t>(page.limit));
    out.set_next_cursor(MakeCursor(list, scan.rows.back().facts.id));
  } else if (!scan.read_to.IsNil()) {
    out.set_next_cursor(MakeCursor(list, scan.read_to));
  }
  for (const GraphRow& row : scan.rows) *out.add_nodes() = Describe(row, viewer);
  return absl::OkStatus();
}

}  // namespace pepeunit::graph_registry
