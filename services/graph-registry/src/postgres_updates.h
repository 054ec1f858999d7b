#pragma once

#include "pepeunit/outbox/outbox.h"
#include "pepeunit/postgres/pool.h"
#include "update_store.h"

namespace pepeunit::graph_registry {

// The updates of units in PostgreSQL.
class PostgresUpdates final : public UpdateStore {
 public:
  // `relay` is kicked after events; may be null.
  PostgresUpdates(postgres::Pool& pool, outbox::Relay* relay) : pool_(pool), relay_(relay) {}

  absl::Status ChangeUpdate(const Actor& actor, const char* action, const Uuid& unit, const Change& change) override;
  absl::StatusOr<UpdateRow> GetUpdate(const Uuid& unit) override;
  absl::StatusOr<std::vector<Uuid>> ListSilent(const UpdateTimeouts& timeouts, int limit) override;

 private:
  postgres::Pool& pool_;
  outbox::Relay* relay_;
};

}  // namespace pepeunit::graph_registry
