#pragma once

#include <atomic>
#include <thread>

#include "pepeunit/bus/bus.h"
#include "store.h"
#include "units.h"

namespace pepeunit::graph_registry {

// Follows events.repo.sync.> durably, keeps each repository's sync state, and moves the units that follow it. Replicas
// share the work; an event that comes again finds nothing left to do.
class RepoEvents {
 public:
  RepoEvents(bus::Bus& bus, GraphStore& store, Units& units) : bus_(bus), store_(store), units_(units) {}
  ~RepoEvents() { Stop(); }
  void Start();
  void Stop();

 private:
  void Loop();
  absl::Status Apply(const bus::Message& message);

  bus::Bus& bus_;
  GraphStore& store_;
  Units& units_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace pepeunit::graph_registry
