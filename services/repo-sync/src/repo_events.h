#pragma once

#include <vector>

#include "pepeunit/outbox/follower.h"
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
  RepoEvents(bus::Bus& bus, GraphRepositories& graph, RepositoryStore& store, Syncs& syncs);
  void Start() { follower_.Start(); }
  void Stop() { follower_.Stop(); }

 private:
  absl::Status CatchUp();
  absl::Status Apply(const bus::v1::Event& event);

  GraphRepositories& graph_;
  RepositoryStore& store_;
  Syncs& syncs_;
  outbox::Follower follower_;
};

}  // namespace pepeunit::repo_sync
