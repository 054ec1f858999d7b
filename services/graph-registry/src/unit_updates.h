#pragma once

#include "pepeunit/rpc/caller.h"
#include "update_store.h"

namespace pepeunit::graph_registry {

// How far devices are with the versions of their units (U10, U13). Thread-safe.
class UnitUpdates {
 public:
  UnitUpdates(GraphStore& store, UpdateStore& updates, UpdateTimeouts timeouts)
      : store_(store), updates_(updates), timeouts_(timeouts) {}

  absl::Status Retry(const rpc::Caller& caller, const std::string& unit);
  // The same for somebody whose rights the storage asks; nothing to try again is no error.
  absl::Status OfferAgain(const Actor& actor, const Uuid& unit);
  // What a device told; that of a unit which is gone is passed over.
  absl::Status Hear(const bus::v1::DeviceTold& told);
  // Some of those that time ran out for; returns how many.
  absl::StatusOr<std::int64_t> Expire();

 private:
  GraphStore& store_;
  UpdateStore& updates_;
  const UpdateTimeouts timeouts_;
};

}  // namespace pepeunit::graph_registry
