#pragma once

#include <atomic>
#include <thread>

#include "pepeunit/bus/bus.h"
#include "store.h"

namespace pepeunit::graph_registry {

// Follows events.repo.sync.> durably and keeps each repository's sync state. Replicas share the work.
class RepoEvents {
 public:
  RepoEvents(bus::Bus& bus, GraphStore& store) : bus_(bus), store_(store) {}
  ~RepoEvents() { Stop(); }
  void Start();
  void Stop();

 private:
  void Loop();
  absl::Status Apply(const bus::Message& message);

  bus::Bus& bus_;
  GraphStore& store_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace pepeunit::graph_registry
