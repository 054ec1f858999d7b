#pragma once

#include <string>
#include <vector>

#include "pepeunit/postgres/params.h"
#include "store.h"

// Who may see what, in SQL: as libs/access says, of many nodes at once.
namespace pepeunit::graph_registry {

// The highest role granted on the node `n` or its parent, as an expression: to the subject whose kind and id the two
// other expressions say, or to a viewer.
std::string GrantTo(const std::string& n, const std::string& kind, const std::string& subject);
std::string GrantTo(postgres::Params& params, const std::string& n, const access::Subject& viewer);

// The condition under which a viewer may see the node `n` whose parent is `p`: what libs/access says of nodes without
// grants, asked of it for each level, or a grant.
std::string VisibleTo(postgres::Params& params, const access::Subject& viewer, const std::string& n,
                      const std::string& p);
// Which nodes VisibleIds goes over; what is empty, nil or 0 excludes none.
struct NodeRange {
  std::string scope{};  // a condition on `node` which begins an index that goes on with type, level and id
  std::vector<int> types{};
  Uuid owner{};
  int level = 0;
};
// The ways on which a viewer may see nodes without a grant, each a condition on `node`. Of variables they let pass too
// many while one is more open than its unit: VisibleTo decides.
std::vector<std::string> WaysToSee(postgres::Params& params, const access::Subject& viewer, int level = 0);
// A query for the ids of the nodes on which, or on whose parents, the viewer has a grant; empty when he needs none.
std::string GrantedTo(postgres::Params& params, const access::Subject& viewer);

// A query for the ids of the nodes of a type without parents that the viewer may see: a page and one more, in order.
// It takes them from one range of an index for each way to see them, so its cost does not grow with the nodes that
// the viewer may not see. Of variables see WaysToSee.
std::string VisibleIds(postgres::Params& params, const access::Subject& viewer, const NodeRange& range,
                       const Page& page);
std::string VisibleIds(postgres::Params& params, const access::Subject& viewer, graph::v1::NodeType type,
                       const Page& page);

}  // namespace pepeunit::graph_registry
