#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "history_writer.h"
#include "lttb.h"
#include "pepeunit/promql/promql.h"

// Where histories are read. Port: src/postgres_history.h implements it.
namespace pepeunit::state_logger {

struct Series {
  int id = 0;
  std::int64_t cutoff_us = 0;  // what is older is not shown
};

struct StoredPoint {
  ReadingKey key;
  HistoryPoint point;
};

// A reading that comes from elsewhere than the stream.
struct ImportedReading {
  std::int64_t time_us = 0;
  bus::v1::Scalar value;
};

// Thread-safe. Lists of what is asked for and of what is answered are in the same order.
class HistoryStore {
 public:
  virtual ~HistoryStore() = default;

  // nullopt: it has no history.
  virtual absl::StatusOr<std::vector<std::optional<Series>>> FindSeries(const std::vector<Uuid>& variables) = 0;
  // From `from_us` and after `after`, without `to_us`; oldest first.
  virtual absl::StatusOr<std::vector<StoredPoint>> Readings(const Series& series, std::int64_t from_us,
                                                            const ReadingKey& after, std::int64_t to_us, int limit) = 0;
  // Summed up by steps from 1970 on; those that have something.
  virtual absl::StatusOr<std::vector<std::vector<HistoryPoint>>> Steps(const std::vector<Series>& series,
                                                                       std::int64_t from_us, std::int64_t to_us,
                                                                       std::int64_t step_ms) = 0;
  // The lowest and the highest of each of `stretches` equal parts of the period, at their times.
  virtual absl::StatusOr<std::vector<std::vector<PlotPoint>>> Extremes(const std::vector<Series>& series,
                                                                       std::int64_t from_us, std::int64_t to_us,
                                                                       std::int64_t stretches) = 0;
  // Numbers from `from_ms` to `to_ms`, both included, of each ms the last; FAILED_PRECONDITION when there are more than
  // `most`, CANCELLED when `cancelled` says so.
  virtual absl::StatusOr<std::vector<std::vector<promql::Sample>>> Samples(const std::vector<Series>& series,
                                                                           std::int64_t from_ms, std::int64_t to_ms,
                                                                           std::size_t most,
                                                                           const std::function<bool()>& cancelled) = 0;
  virtual absl::StatusOr<std::vector<std::optional<HistoryPoint>>> Latest(const std::vector<Uuid>& variables) = 0;
  // Adds those at whose times the history has nothing; of several at one time the first. How many were added.
  virtual absl::StatusOr<std::int64_t> Import(const Uuid& variable, const Uuid& unit,
                                              const std::vector<ImportedReading>& readings) = 0;
};

}  // namespace pepeunit::state_logger
