#include "followed_events.h"

#include "pepeunit/base/errors.h"

namespace pepeunit::graph_registry {

FollowedEvents::FollowedEvents(bus::Bus& bus, GraphStore& store, FollowTurns& turns, UnitUpdates& updates)
    : store_(store),
      turns_(turns),
      updates_(updates),
      syncs_(bus,
             {.durable = "graph-registry-repo-sync",
              .filter = "events.repo.sync.>",
              .what_waits = "events of repo-sync wait"},
             outbox::OneByOne([this](const bus::v1::Event& event) { return ApplySynced(event); })),
      links_(bus,
             {.durable = "graph-registry-log-link",
              .filter = "events.log.link.>",
              .what_waits = "events of state-logger wait"},
             outbox::OneByOne([this](const bus::v1::Event& event) { return ApplyHeldBack(event); })),
      devices_(bus,
               {.durable = "graph-registry-ingest-unit",
                .filter = "events.ingest.unit.>",
                .what_waits = "what devices told waits"},
               outbox::OneByOne([this](const bus::v1::Event& event) { return ApplyTold(event); })) {}

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

absl::Status FollowedEvents::ApplyTold(const bus::v1::Event& event) {
  if (!event.has_device_told()) return outbox::PassOver("events.ingest.unit");
  return updates_.Hear(event.device_told());
}

}  // namespace pepeunit::graph_registry
