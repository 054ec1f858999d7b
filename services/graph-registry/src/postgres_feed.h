#pragma once

#include "feed_store.h"
#include "pepeunit/postgres/pool.h"

namespace pepeunit::graph_registry {

// The feed that the triggers of the graph's tables write. Thread-safe.
class PostgresFeed final : public FeedStore {
 public:
  explicit PostgresFeed(postgres::Pool& pool) : pool_(pool) {}
  absl::StatusOr<FeedBounds> Bounds(const Uuid& viewer) override;
  absl::StatusOr<FeedBatch> Read(const FeedPlace& after, int limit, const std::vector<Uuid>& watching) override;
  absl::StatusOr<std::int64_t> Forget(int hours) override;

 private:
  postgres::Pool& pool_;
};

}  // namespace pepeunit::graph_registry
