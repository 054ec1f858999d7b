#pragma once

#include "pepeunit/outbox/outbox.h"
#include "pepeunit/postgres/pool.h"
#include "ports.h"
#include "removal_store.h"

namespace pepeunit::graph_registry {

// The deletion of users in PostgreSQL. `relay` and `gate` as those of PostgresStore.
class PostgresRemovals final : public RemovalStore {
 public:
  explicit PostgresRemovals(postgres::Pool& pool, outbox::Relay* relay = nullptr, ValueGate* gate = nullptr)
      : pool_(pool), relay_(relay), gate_(gate) {}

  absl::StatusOr<graph::v1::UserDeletion> RemoveUser(const Actor& actor, const Removal& removal) override;

 private:
  postgres::Pool& pool_;
  outbox::Relay* relay_;
  ValueGate* gate_;
};

}  // namespace pepeunit::graph_registry
