#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "batch.h"

// Where values are kept. Thread-safe.
namespace pepeunit::state_logger {

struct StoredValue {
  bus::v1::Scalar value;
  std::int64_t time_ms = 0;
};

// A place in the history of a variable.
struct ReadingKey {
  std::int64_t time_us = 0;
  std::uint64_t stream_seq = 0;
  int ord = -1;
};
struct StoredReading {
  ReadingKey key;
  bus::v1::Scalar value;
};

struct StoredState {
  std::string state;
  std::int64_t last_seen_ms = 0;
};

struct Mark {
  std::uint64_t sequence = 0;
  std::string request_tag;
  std::vector<CurrentRow> inputs;
};

class ValueStore {
 public:
  virtual ~ValueStore() = default;

  virtual absl::StatusOr<std::uint64_t> Applied(std::uint32_t partition) = 0;
  // Stores the batch and moves the partition's position from `expected` to the batch's end, in one transaction.
  // ABORTED, and nothing is stored, when the position is another: somebody else writes this partition. `before_commit`
  // runs when all is staged; its error rolls back.
  virtual absl::Status Apply(std::uint32_t partition, std::uint64_t expected, Batch batch,
                             const std::function<absl::Status(const Batch&)>& before_commit) = 0;
  // Forgets variables and units, and what would still come for them.
  virtual absl::Status Forget(const std::vector<Uuid>& variables, const std::vector<Uuid>& units) = 0;
  virtual absl::Status ForgetOldTombstones() = 0;

  virtual absl::StatusOr<std::optional<StoredValue>> CurrentValue(const Uuid& variable) = 0;
  // From `from` on and after `after`, up to but without `to_us`; oldest first.
  virtual absl::StatusOr<std::vector<StoredReading>> Readings(const Uuid& variable, const ReadingKey& after, std::int64_t to_us, int limit) = 0;
  virtual absl::StatusOr<std::optional<StoredState>> UnitState(const Uuid& unit) = 0;
  virtual absl::StatusOr<Mark> GetMark(const Uuid& unit) = 0;

  // Says that this replica lives, and returns how many do.
  virtual absl::StatusOr<int> Heartbeat(const Uuid& member) = 0;
  virtual absl::Status Leave(const Uuid& member) = 0;
};

}  // namespace pepeunit::state_logger
