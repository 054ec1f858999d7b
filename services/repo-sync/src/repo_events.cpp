#include "repo_events.h"

#include <set>

#include "pepeunit/base/errors.h"

namespace pepeunit::repo_sync {

RepoEvents::RepoEvents(bus::Bus& bus, GraphRepositories& graph, RepositoryStore& store, Syncs& syncs)
    : graph_(graph),
      store_(store),
      syncs_(syncs),
      follower_(bus,
                {.durable = "repo-sync-repo-units",
                 .filter = "events.graph.repo_unit.>",
                 .what_waits = "changes of repositories wait",
                 .prepare = [this] { return CatchUp(); }},
                outbox::OneByOne([this](const bus::v1::Event& event) { return Apply(event); })) {}

absl::Status RepoEvents::CatchUp() {
  // Ours first: what we have before the graph is asked and the graph does not name is gone.
  PEPEUNIT_ASSIGN_OR_RETURN(const auto ours, store_.ListIds());
  PEPEUNIT_ASSIGN_OR_RETURN(const auto wanted, graph_.ListAll());
  std::set<Uuid> named;
  for (const Wanted& repository : wanted) {
    named.insert(repository.id);
    PEPEUNIT_RETURN_IF_ERROR(store_.Upsert(repository));
  }
  for (const Uuid& id : ours) {
    if (named.contains(id)) continue;
    PEPEUNIT_RETURN_IF_ERROR(store_.Delete(id));
    syncs_.Remove(id);
  }
  syncs_.Wake();
  return absl::OkStatus();
}

absl::Status RepoEvents::Apply(const bus::v1::Event& event) {
  const auto& changed = event.repo_unit_changed();
  const auto id = Uuid::Parse(changed.repo_unit_id());
  if (!id) return outbox::PassOver("events.graph.repo_unit");
  if (changed.deleted()) {
    PEPEUNIT_RETURN_IF_ERROR(store_.Delete(*id));
    syncs_.Remove(*id);
    return absl::OkStatus();
  }
  PEPEUNIT_RETURN_IF_ERROR(store_.Upsert({.id = *id,
                                          .url = changed.url(),
                                          .sync_period_s = changed.sync_period_s(),
                                          .sync_requests = changed.sync_requests(),
                                          .sealed_credentials = changed.sealed_credentials(),
                                          .host_key = changed.ssh_host_key()}));
  syncs_.Wake();
  return absl::OkStatus();
}

}  // namespace pepeunit::repo_sync
