#pragma once

#include "pepeunit/postgres/pool.h"
#include "postgres_series.h"
#include "store.h"

namespace pepeunit::state_logger {

// Values in PostgreSQL: all of the service's SQL.
class PostgresStore final : public ValueStore {
 public:
  explicit PostgresStore(postgres::Pool& pool, const LinkLimits& limits = {})
      : pool_(pool), limits_(limits), series_(pool) {}

  absl::StatusOr<std::uint64_t> Applied(std::uint32_t partition) override;
  absl::StatusOr<std::uint64_t> Resume(std::uint32_t partition, const AskStream& ask) override;
  absl::Status Apply(std::uint32_t partition, std::uint64_t expected, const Batch& batch,
                     const std::function<absl::Status(const Batch&)>& before_commit) override;
  absl::Status End(const Ended& ended) override;
  absl::StatusOr<bool> ReleaseHeld(std::int64_t now_ms,
                                   const std::function<absl::Status(const Batch&)>& before_commit) override;
  absl::StatusOr<bool> CloseWindows(std::int64_t now_ms) override;
  absl::Status ForgetOldTombstones() override;
  absl::StatusOr<std::optional<StoredValue>> CurrentValue(const Uuid& variable) override;
  absl::StatusOr<std::vector<StoredReading>> Readings(const Uuid& variable, const ReadingKey& after, std::int64_t to_us,
                                                      int limit) override;
  absl::StatusOr<std::optional<StoredState>> UnitState(const Uuid& unit) override;
  absl::StatusOr<std::optional<LinkState>> GetLink(const Uuid& link) override;
  absl::StatusOr<Mark> GetMark(const Uuid& unit) override;

 private:
  postgres::Pool& pool_;
  const LinkLimits limits_;
  PostgresSeries series_;
};

}  // namespace pepeunit::state_logger
