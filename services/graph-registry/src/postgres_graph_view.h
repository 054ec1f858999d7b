#pragma once

#include "graph_view.h"
#include "pepeunit/postgres/pool.h"

namespace pepeunit::graph_registry {

class PostgresGraphView final : public GraphView {
 public:
  explicit PostgresGraphView(postgres::Pool& pool) : pool_(pool) {}

  absl::StatusOr<std::vector<GraphRow>> GetNodes(const access::Subject& viewer, const std::vector<Uuid>& ids,
                                                 const GraphFilter& filter) override;
  absl::StatusOr<std::vector<GraphStep>> Expand(const access::Subject& viewer, const std::vector<GraphRow>& nodes,
                                                int most) override;
  absl::StatusOr<GraphScan> Scan(const access::Subject& viewer, const GraphScope& scope, const GraphFilter& filter,
                                 const Page& page) override;
  absl::StatusOr<std::vector<SeenLink>> LinksOf(const access::Subject& viewer,
                                                const std::vector<Uuid>& variables) override;

 private:
  postgres::Pool& pool_;
};

}  // namespace pepeunit::graph_registry
