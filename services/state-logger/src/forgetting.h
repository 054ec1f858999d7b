#pragma once

#include <atomic>
#include <thread>

#include "pepeunit/bus/bus.h"
#include "store.h"

namespace pepeunit::state_logger {

// Follows events.graph.unit.> durably and deletes the values of what was removed from the graph (U8, U11).
class Forgetting {
 public:
  Forgetting(bus::Bus& bus, ValueStore& store) : bus_(bus), store_(store) {}
  ~Forgetting() { Stop(); }
  void Start();
  void Stop();

 private:
  void Loop();
  absl::Status Apply(const bus::Message& message);
  absl::Status DeleteHistory(const Uuid& variable);

  bus::Bus& bus_;
  ValueStore& store_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace pepeunit::state_logger
