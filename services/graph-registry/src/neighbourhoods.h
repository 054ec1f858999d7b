#pragma once

#include <functional>
#include <set>
#include <vector>

#include "graph_view.h"
#include "pepeunit/rpc/caller.h"

namespace pepeunit::graph_registry {

// How far a walk of a depth of 2 or more goes.
struct WalkBounds {
  int neighbours = 50;  // of each node, for each kind of edge
  int nodes = 2000;     // in all
};

// The graph around a node, and the search for nodes. Thread-safe.
class Neighbourhoods {
 public:
  explicit Neighbourhoods(GraphView& view, const WalkBounds& bounds = {}) : view_(view), bounds_(bounds) {}

  absl::Status Get(const rpc::Caller& caller, const graph::v1::GetNeighbourhoodRequest& request,
                   graph::v1::Neighbourhood& out);
  absl::Status Search(const rpc::Caller& caller, const graph::v1::SearchNodesRequest& request,
                      graph::v1::SearchNodesResponse& out);

 private:
  struct Found {
    GraphRow row;
    int distance = 0;
    bool more = false;
  };
  // Whether an edge's `from` node, of which the row is known, is shown as well.
  using Shown = std::function<bool(const GraphRow& from, const Uuid& to)>;
  // What is asked for: where the page begins is the last node of the one before, nil for none.
  struct Question {
    access::Subject viewer;
    GraphFilter filter;
    int depth = 1;
    int distance = 0;
    Page page;
  };
  struct Read {
    std::vector<Found> nodes;  // from where the page begins; at least one more than it when there is a next one
    Uuid read_to;              // at distance 1, where reading stopped before the end; nil when it did not
  };
  struct Walked {
    std::vector<Found> found;  // by distance and id; of the greatest distance no more than the page needs
    std::set<Uuid> reached;    // all, shown or not
  };

  // To a depth of 1: only what the page needs.
  absl::StatusOr<Read> ReadNear(const Question& question, const GraphRow& centre);
  absl::StatusOr<GraphScan> ReadNeighbours(const Question& question, const GraphRow& centre, const Page& page);
  static bool IsAfter(const Question& question, const Found& found);
  // Breadth first, what the bounds let in, shown or not.
  absl::StatusOr<Walked> Walk(const Question& question, const GraphRow& centre);
  // What is reached anew from what was found since `first`, by id.
  absl::StatusOr<std::vector<Uuid>> Reach(const Question& question, std::size_t first, Walked* walked);
  absl::Status ReadReached(const Question& question, int distance, std::vector<Uuid> reached, Walked* walked);
  // Of `known` the rows need not be read again.
  absl::Status AddEdges(const Question& question, const std::vector<Found>& nodes, const std::vector<Found>& known,
                        const Shown& shown, graph::v1::Neighbourhood* out);

  GraphView& view_;
  const WalkBounds bounds_;
};

}  // namespace pepeunit::graph_registry
