#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "pepeunit/graph/v1/graph.pb.h"
#include "store.h"

// Where the graph is read as a graph. Each call is one transaction and returns only what the viewer may see.
// Thread-safe. Lost connections are UNAVAILABLE.
namespace pepeunit::graph_registry {

// Which nodes are shown; what is empty, nil or 0 lets all pass.
struct GraphFilter {
  std::vector<int> types;  // graph.v1.NodeType, rising
  Uuid owner;
  int level = 0;  // common.v1.AccessLevel
  std::string name;
  bool name_begins = false;  // the name begins with it; else it is somewhere in the name
};

struct GraphRow {
  NodeFacts facts;
  Uuid repo_unit;             // of a unit, else nil
  graph::v1::GraphNode node;  // without role, distance and more
  bool named = true;          // the filter's name fits
};

// An edge from a node that was asked for to a neighbour.
struct GraphStep {
  Uuid from;
  graph::v1::EdgeKind kind = graph::v1::EDGE_KIND_UNSPECIFIED;
  Uuid to;

  auto operator<=>(const GraphStep&) const = default;
};

// The edges but links that lead to a node; what they come from has no parent.
std::vector<GraphStep> EdgesInto(const GraphRow& row);

// What is scanned: what a user owns or what is made from a repository; all nodes when both are nil.
struct GraphScope {
  Uuid owner, repo_unit;
};

// Nodes that a viewer may see and a filter by name shows can lie far apart: reading stops after so many.
inline constexpr int kMostNodesRead = 10'000;
struct GraphScan {
  std::vector<GraphRow> rows;  // one more than the page when there is a next one
  Uuid read_to;                // where reading stopped before the end; nil when it did not
};

class GraphView {
 public:
  virtual ~GraphView() = default;

  // By id. Those that are not there or hidden are left out.
  virtual absl::StatusOr<std::vector<GraphRow>> GetNodes(const access::Subject& viewer, const std::vector<Uuid>& ids,
                                                         const GraphFilter& filter) = 0;
  // Of each node the neighbours with the lowest ids, at most `most` for each kind of edge; in no order.
  virtual absl::StatusOr<std::vector<GraphStep>> Expand(const access::Subject& viewer,
                                                        const std::vector<GraphRow>& nodes, int most) = 0;
  // What the filter shows of the scope, by id.
  virtual absl::StatusOr<GraphScan> Scan(const access::Subject& viewer, const GraphScope& scope,
                                         const GraphFilter& filter, const Page& page) = 0;
  // That touch these variables, at most kMostLinksRead.
  virtual absl::StatusOr<std::vector<SeenLink>> LinksOf(const access::Subject& viewer,
                                                        const std::vector<Uuid>& variables) = 0;
};

}  // namespace pepeunit::graph_registry
