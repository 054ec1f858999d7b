#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "batch.h"
#include "link_flow.h"

// Where values are kept, and who may write them. Ports: src/postgres_*.h implement them.
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

// What the graph has ended.
struct StoppedLink {
  Uuid link, unit;
  std::uint64_t version = 0;  // values from an older profile of the unit are void
};
struct Ended {
  std::vector<Uuid> variables{}, units{}, links{};  // they are gone
  std::vector<StoppedLink> stopped{};               // they carry nothing for now
  bool empty() const { return variables.empty() && units.empty() && links.empty() && stopped.empty(); }
};

struct Mark {
  std::uint64_t sequence = 0;
  std::string request_tag;
  std::vector<bus::v1::InputChanged> inputs;
};

// What the stream VALUES is like at the moment of the call.
using AskStream = std::function<absl::StatusOr<bus::StreamState>()>;

// Thread-safe.
class ValueStore {
 public:
  virtual ~ValueStore() = default;

  // Position up to and with which the partition is stored; 0 before the first message.
  virtual absl::StatusOr<std::uint64_t> Applied(std::uint32_t partition) = 0;
  // The same for a writer that is about to go on from there. Positions that the stream has not (it was made anew, or
  // its newest messages were lost with the machine's power) are set back, so that what comes now is not taken for
  // stored.
  virtual absl::StatusOr<std::uint64_t> Resume(std::uint32_t partition, const AskStream& ask) = 0;
  // Stores the batch and moves the partition's position from `expected` to the batch's end, in one transaction.
  // ABORTED, and nothing is stored, when the position is another: somebody else writes this partition. INVALID_ARGUMENT
  // when a value in it can never be stored. `before_commit` runs when all is staged, perhaps more than once; its error
  // rolls back.
  virtual absl::Status Apply(std::uint32_t partition, std::uint64_t expected, const Batch& batch,
                             const std::function<absl::Status(const Batch&)>& before_commit) = 0;

  // Forgets the values, states and histories of what is gone, and from its return on whatever still comes for it; from
  // then on also nothing passes that was stopped.
  virtual absl::Status End(const Ended& ended) = 0;
  // Lets through the values that waited for the rate of their link and are due; `before_commit` as in Apply. False when
  // none waits any more.
  virtual absl::StatusOr<bool> ReleaseHeld(std::int64_t now_ms,
                                           const std::function<absl::Status(const Batch&)>& before_commit) = 0;
  // Moves windows that are due into the history, some at a time; false when there are none. ABORTED: again.
  virtual absl::StatusOr<bool> CloseWindows(std::int64_t now_ms) = 0;
  virtual absl::Status ForgetOldTombstones() = 0;

  virtual absl::StatusOr<std::optional<StoredValue>> CurrentValue(const Uuid& variable) = 0;
  // After `after`, up to but without `to_us`; oldest first.
  virtual absl::StatusOr<std::vector<StoredReading>> Readings(const Uuid& variable, const ReadingKey& after,
                                                              std::int64_t to_us, int limit) = 0;
  virtual absl::StatusOr<std::optional<StoredState>> UnitState(const Uuid& unit) = 0;
  // nullopt when it never carried and never refused.
  virtual absl::StatusOr<std::optional<LinkState>> GetLink(const Uuid& link) = 0;
  virtual absl::StatusOr<Mark> GetMark(const Uuid& unit) = 0;
};

// Which replica writes which partition. They only keep replicas from working against each other; what keeps values
// exactly once is the position (see ValueStore::Apply). After an error all of this replica's locks are gone. Used by
// one thread.
class PartitionLocks {
 public:
  virtual ~PartitionLocks() = default;
  // How many replicas there are, this one with them. Begins to take part when it does not yet.
  virtual absl::StatusOr<std::uint32_t> Members() = 0;
  // False: another replica has it.
  virtual absl::StatusOr<bool> TryLock(std::uint32_t partition) = 0;
  virtual absl::Status Unlock(std::uint32_t partition) = 0;
  // Gives all up at once.
  virtual void Leave() = 0;
};

}  // namespace pepeunit::state_logger
