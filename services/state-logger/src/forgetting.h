#pragma once

#include <atomic>
#include <chrono>
#include <thread>

#include "pepeunit/bus/bus.h"
#include "pepeunit/log/v1/values.pb.h"
#include "pepeunit/rpc/caller.h"
#include "store.h"

namespace pepeunit::state_logger {

// Follows events.graph.unit.> durably: deletes the values of what was removed from the graph (U8, U11), and keeps links
// that lost their right from carrying (G5). graph-registry tells the same beforehand by ApplyNow, so that whoever took
// a right away has his answer when it has its effect. Thread-safe.
class Forgetting {
 public:
  Forgetting(bus::Bus& bus, ValueStore& store) : bus_(bus), store_(store) {}
  ~Forgetting() { Stop(); }
  // Applies all events that wait, before values are stored: what was ended while nobody was here has ended.
  absl::Status CatchUp();
  void Start();
  void Stop();

  // From its return on nothing passes that the changes forbid. Histories go later.
  absl::Status ApplyNow(const rpc::Caller& caller, const log::v1::ApplyUnitChangesRequest& request);

 private:
  void Loop();
  // How many events were applied.
  absl::StatusOr<std::size_t> ApplyNext(bus::DurableConsumer& consumer, std::chrono::milliseconds wait);
  absl::Status Apply(const std::vector<bus::Message>& messages);
  absl::Status DeleteHistory(const Uuid& variable);

  bus::Bus& bus_;
  ValueStore& store_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace pepeunit::state_logger
