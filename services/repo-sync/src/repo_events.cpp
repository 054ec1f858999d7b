#include "repo_events.h"

#include <algorithm>
#include <chrono>
#include <set>

#include "pepeunit/base/backoff.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/base/log.h"
#include "pepeunit/base/trace.h"
#include "pepeunit/bus/v1/events.pb.h"

namespace pepeunit::repo_sync {

void RepoEvents::Start() {
  thread_ = std::thread([this] { Loop(); });
}

void RepoEvents::Stop() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

void RepoEvents::Loop() {
  const auto consumer = bus_.Consume(bus::kEventsStream, "repo-sync-repo-units", "events.graph.repo_unit.>");
  Backoff backoff(std::chrono::milliseconds(200), std::chrono::milliseconds(3'000));
  bool caught_up = false;
  while (!stop_) {
    absl::Status status;
    if (!caught_up) {
      status = CatchUp();
      caught_up = status.ok();
    } else {
      const auto messages = consumer->Fetch(100, std::chrono::milliseconds(500));
      status = messages.status();
      for (std::size_t i = 0; status.ok() && i < messages->size(); ++i) status = Apply((*messages)[i]);
      if (status.ok() && !messages->empty()) {
        syncs_.Wake();
        status = consumer->AckFetched();
      }
    }
    if (status.ok()) {
      backoff.Reset();
      continue;
    }
    if (backoff.tries() == 0) log::Warning("changes of repositories wait", {{"status", status}});
    // In short steps, so that a stop is not held up.
    for (auto left = backoff.Next(); left.count() > 0 && !stop_; left -= std::chrono::milliseconds(100)) {
      std::this_thread::sleep_for(std::min(left, std::chrono::milliseconds(100)));
    }
  }
}

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

absl::Status RepoEvents::Apply(const bus::Message& message) {
  const TraceScope scope(TraceContext::Parse(message.traceparent).value_or(TraceContext::New()));
  bus::v1::Event event;
  const bool readable = event.ParseFromString(message.payload) && event.has_repo_unit_changed();
  const auto& changed = event.repo_unit_changed();
  const auto id = Uuid::Parse(changed.repo_unit_id());
  if (!readable || !id) {
    log::Error("an event cannot be read; it is passed over", {{"subject", message.subject}});
    return absl::OkStatus();
  }
  if (changed.deleted()) {
    PEPEUNIT_RETURN_IF_ERROR(store_.Delete(*id));
    syncs_.Remove(*id);
    return absl::OkStatus();
  }
  return store_.Upsert({.id = *id,
                        .url = changed.url(),
                        .sync_period_s = changed.sync_period_s(),
                        .sync_requests = changed.sync_requests(),
                        .sealed_credentials = changed.sealed_credentials()});
}

}  // namespace pepeunit::repo_sync
