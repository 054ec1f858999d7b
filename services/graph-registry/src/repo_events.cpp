#include "repo_events.h"

#include <chrono>

#include "pepeunit/base/backoff.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/base/log.h"
#include "pepeunit/base/trace.h"

namespace pepeunit::graph_registry {

void RepoEvents::Start() {
  thread_ = std::thread([this] { Loop(); });
}

void RepoEvents::Stop() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

void RepoEvents::Loop() {
  auto consumer = bus_.Consume(bus::kEventsStream, "graph-registry-repo-sync", "events.repo.sync.>");
  Backoff backoff(std::chrono::milliseconds(200), std::chrono::milliseconds(3'000));
  while (!stop_) {
    const auto messages = consumer->Fetch(100, std::chrono::milliseconds(500));
    absl::Status status = messages.status();
    for (std::size_t i = 0; status.ok() && i < messages->size(); ++i) status = Apply((*messages)[i]);
    if (status.ok() && !messages->empty()) status = consumer->AckFetched();
    if (status.ok()) {
      backoff.Reset();
      continue;
    }
    if (backoff.tries() == 0) log::Warning("events of repo-sync wait", {{"status", status}});
    // In short steps, so that a stop is not held up.
    for (auto left = backoff.Next(); left.count() > 0 && !stop_; left -= std::chrono::milliseconds(100)) {
      std::this_thread::sleep_for(std::min(left, std::chrono::milliseconds(100)));
    }
  }
}

absl::Status RepoEvents::Apply(const bus::Message& message) {
  const TraceScope scope(TraceContext::Parse(message.traceparent).value_or(TraceContext::New()));
  bus::v1::Event event;
  if (!event.ParseFromString(message.payload) || !event.has_repo_synced() ||
      !Uuid::Parse(event.repo_synced().repo_unit_id())) {
    log::Error("an event cannot be read; it is passed over", {{"subject", message.subject}});
    return absl::OkStatus();
  }
  const auto& synced = event.repo_synced();
  PEPEUNIT_RETURN_IF_ERROR(store_.ApplyRepoSynced(synced));
  if (synced.state() != bus::v1::SYNC_STATE_READY) return absl::OkStatus();
  return units_.Follow(*Uuid::Parse(synced.repo_unit_id()));
}

}  // namespace pepeunit::graph_registry
