#include "followed_events.h"

#include "pepeunit/base/errors.h"

namespace pepeunit::graph_registry {

FollowedEvents::FollowedEvents(bus::Bus& bus, GraphStore& store, FollowTurns& turns)
    : store_(store),
      turns_(turns),
      syncs_(bus,
             {.durable = "graph-registry-repo-sync",
              .filter = "events.repo.sync.>",
              .what_waits = "events of repo-sync wait"},
             outbox::OneByOne([this](const bus::v1::Event& event) { return ApplySynced(event); })),
      links_(bus,
             {.durable = "graph-registry-log-link",
              .filter = "events.log.link.>",
              .what_waits = "events of state-logger wait"},
             outbox::OneByOne([this](const bus::v1::Event& event) { return ApplyHeldBack(event); })) {}

absl::Status FollowedEvents::ApplySynced(const bus::v1::Event& event) {
  const auto& synced = event.repo_synced();
  const auto id = Uuid::Parse(synced.repo_unit_id());
  if (!id) return outbox::PassOver("events.repo.sync");
  PEPEUNIT_RETURN_IF_ERROR(store_.ApplyRepoSynced(synced));
  if (synced.state() == bus::v1::SYNC_STATE_READY) turns_.Kick();
  return absl::OkStatus();
}

absl::Status FollowedEvents::ApplyHeldBack(const bus::v1::Event& event) {
  const auto& held_back = event.link_held_back();
  const auto id = Uuid::Parse(held_back.link_id());
  if (!id) return outbox::PassOver("events.log.link");
  return store_.MarkLink(*id, held_back.bound(), held_back.time_ms());
}

}  // namespace pepeunit::graph_registry
