#pragma once

#include "export_store.h"
#include "pepeunit/postgres/pool.h"

namespace pepeunit::graph_registry {

// What belongs to one user, from PostgreSQL.
class PostgresExports final : public ExportStore {
 public:
  explicit PostgresExports(postgres::Pool& pool) : pool_(pool) {}

  absl::StatusOr<std::vector<Uuid>> ListOwn(const Uuid& user, graph::v1::NodeType type, const Page& page) override;
  absl::StatusOr<std::vector<SeenLink>> ListOwnLinks(const access::Subject& user, const Page& page) override;
  absl::StatusOr<std::vector<graph::v1::Grant>> ListOwnGrants(const Uuid& user, const graph::v1::Grant& after,
                                                              int limit) override;

 private:
  postgres::Pool& pool_;
};

}  // namespace pepeunit::graph_registry
