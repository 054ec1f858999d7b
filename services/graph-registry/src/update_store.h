#pragma once

#include <functional>
#include <vector>

#include "store.h"
#include "unit_update.h"

namespace pepeunit::graph_registry {

// Where the updates of units are kept. Each call is one transaction. Thread-safe.
class UpdateStore {
 public:
  virtual ~UpdateStore() = default;

  // Whether the row is another one now. Gets the commit that the unit stands at.
  using Change = std::function<absl::Status(const std::string& target, UpdateRow* row)>;
  // Changes the unit's row while nobody else does; the device is offered what it says then. NOT_FOUND without the unit.
  // `action` goes into the audit when an actor is there.
  virtual absl::Status ChangeUpdate(const Actor& actor, const char* action, const Uuid& unit, const Change& change) = 0;
  virtual absl::StatusOr<UpdateRow> GetUpdate(const Uuid& unit) = 0;
  // Units that were offered a version, or are on the way to it, and said nothing of it since: at most `limit`, those
  // that were heard of longest ago first.
  virtual absl::StatusOr<std::vector<Uuid>> ListSilent(const UpdateTimeouts& timeouts, int limit) = 0;
};

}  // namespace pepeunit::graph_registry
