#pragma once

#include "history_store.h"
#include "pepeunit/postgres/pool.h"
#include "postgres_series.h"

namespace pepeunit::state_logger {

class PostgresHistory final : public HistoryStore {
 public:
  explicit PostgresHistory(postgres::Pool& pool) : pool_(pool), series_(pool) {}

  absl::StatusOr<std::vector<std::optional<Series>>> FindSeries(const std::vector<Uuid>& variables) override;
  absl::StatusOr<std::vector<StoredPoint>> Readings(const Series& series, std::int64_t from_us, const ReadingKey& after,
                                                    std::int64_t to_us, int limit) override;
  absl::StatusOr<std::vector<std::vector<HistoryPoint>>> Steps(const std::vector<Series>& series, std::int64_t from_us,
                                                               std::int64_t to_us, std::int64_t step_ms) override;
  absl::StatusOr<std::vector<std::vector<PlotPoint>>> Extremes(const std::vector<Series>& series, std::int64_t from_us,
                                                               std::int64_t to_us, std::int64_t stretches) override;
  absl::StatusOr<std::vector<std::vector<promql::Sample>>> Samples(const std::vector<Series>& series,
                                                                   std::int64_t from_ms, std::int64_t to_ms,
                                                                   std::size_t most,
                                                                   const std::function<bool()>& cancelled) override;
  absl::StatusOr<std::vector<std::optional<HistoryPoint>>> Latest(const std::vector<Uuid>& variables) override;
  absl::StatusOr<std::int64_t> Import(const Uuid& variable, const Uuid& unit,
                                      const std::vector<ImportedReading>& readings) override;

 private:
  postgres::Pool& pool_;
  PostgresSeries series_;
};

}  // namespace pepeunit::state_logger
