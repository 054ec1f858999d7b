#pragma once

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "pepeunit/bus/bus.h"
#include "store.h"
#include "syncs.h"

namespace pepeunit::repo_sync {

// Every repository that the graph knows.
class GraphRepositories {
 public:
  virtual ~GraphRepositories() = default;
  virtual absl::StatusOr<std::vector<Wanted>> ListAll() = 0;
};

// Follows events.graph.repo_unit.> durably, after it has caught up once with what the graph knows: events live for
// days only.
class RepoEvents {
 public:
  RepoEvents(bus::Bus& bus, GraphRepositories& graph, RepositoryStore& store, Syncs& syncs)
      : bus_(bus), graph_(graph), store_(store), syncs_(syncs) {}
  ~RepoEvents() { Stop(); }
  void Start();
  void Stop();

 private:
  void Loop();
  absl::Status CatchUp();
  absl::Status Apply(const bus::Message& message);

  bus::Bus& bus_;
  GraphRepositories& graph_;
  RepositoryStore& store_;
  Syncs& syncs_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace pepeunit::repo_sync
