#include "forgetting.h"

#include <algorithm>
#include <chrono>

#include "pepeunit/base/backoff.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/base/log.h"
#include "pepeunit/bus/v1/events.pb.h"

namespace pepeunit::state_logger {

namespace {

constexpr char kConsumer[] = "state-logger-graph-unit", kEvents[] = "events.graph.unit.>";
constexpr int kReadingsAtOnce = 10'000;
// Few, for their histories have to be deleted before the bus delivers them again (30 s).
constexpr std::size_t kEventsAtOnce = 20;

void AddIds(const google::protobuf::RepeatedPtrField<std::string>& texts, std::vector<Uuid>* ids) {
  for (const auto& text : texts) {
    if (const auto id = Uuid::Parse(text)) ids->push_back(*id);
  }
}

void AddEnded(const bus::v1::UnitChanged& changed, Ended* ended) {
  AddIds(changed.removed_variable_ids(), &ended->variables);
  AddIds(changed.removed_link_ids(), &ended->links);
  const auto unit = Uuid::Parse(changed.unit_id());
  if (!unit) return;
  if (changed.deleted()) ended->units.push_back(*unit);
  std::vector<Uuid> stopped;
  AddIds(changed.suspended_link_ids(), &stopped);
  for (const Uuid& link : stopped) ended->stopped.push_back({link, *unit, changed.profile_version()});
}

}  // namespace

void Forgetting::Start() {
  thread_ = std::thread([this] { Loop(); });
}

void Forgetting::Stop() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

absl::StatusOr<std::size_t> Forgetting::ApplyNext(bus::DurableConsumer& consumer, std::chrono::milliseconds wait) {
  PEPEUNIT_ASSIGN_OR_RETURN(const auto messages, consumer.Fetch(kEventsAtOnce, wait));
  if (messages.empty()) return 0;
  PEPEUNIT_RETURN_IF_ERROR(Apply(messages));
  PEPEUNIT_RETURN_IF_ERROR(consumer.AckFetched());
  return messages.size();
}

absl::Status Forgetting::CatchUp() {
  const auto consumer = bus_.Consume(bus::kEventsStream, kConsumer, kEvents);
  for (;;) {
    PEPEUNIT_ASSIGN_OR_RETURN(const std::size_t applied, ApplyNext(*consumer, std::chrono::milliseconds(200)));
    if (applied == 0) return absl::OkStatus();
  }
}

void Forgetting::Loop() {
  const auto consumer = bus_.Consume(bus::kEventsStream, kConsumer, kEvents);
  Backoff backoff(std::chrono::milliseconds(200), std::chrono::milliseconds(3'000));
  while (!stop_) {
    const auto applied = ApplyNext(*consumer, std::chrono::milliseconds(500));
    if (applied.ok()) {
      backoff.Reset();
      continue;
    }
    if (!stop_) log::Warning("what was removed or stopped waits to be", {{"status", applied.status()}});
    for (auto left = backoff.Next(); left.count() > 0 && !stop_; left -= std::chrono::milliseconds(100)) {
      std::this_thread::sleep_for(std::min(left, std::chrono::milliseconds(100)));
    }
  }
}

// First what must not pass any more, the histories then: they take long.
absl::Status Forgetting::Apply(const std::vector<bus::Message>& messages) {
  Ended ended;
  for (const bus::Message& message : messages) {
    bus::v1::Event event;
    if (event.ParseFromString(message.payload) && event.has_unit_changed()) {
      AddEnded(event.unit_changed(), &ended);
    } else {
      log::Error("an event cannot be read; it is passed over", {{"subject", message.subject}});
    }
  }
  if (ended.empty()) return absl::OkStatus();
  PEPEUNIT_RETURN_IF_ERROR(store_.End(ended));
  for (const Uuid& variable : ended.variables) PEPEUNIT_RETURN_IF_ERROR(DeleteHistory(variable));
  if (!ended.variables.empty()) log::Info("values forgotten", {{"variables", ended.variables.size()}});
  return absl::OkStatus();
}

absl::Status Forgetting::ApplyNow(const rpc::Caller& caller, const log::v1::ApplyUnitChangesRequest& request) {
  if (caller.kind != rpc::Caller::Kind::kService) return Forbidden("Only services may tell this.");
  Ended ended;
  for (const auto& changed : request.changes()) AddEnded(changed, &ended);
  return ended.empty() ? absl::OkStatus() : store_.End(ended);
}

// In pieces: years of readings in one transaction would pass the statement's time limit, and could not be stopped.
absl::Status Forgetting::DeleteHistory(const Uuid& variable) {
  for (bool more = true; more;) {
    if (stop_) return absl::CancelledError("stopping; the event will come again");
    PEPEUNIT_ASSIGN_OR_RETURN(more, store_.DeleteReadings(variable, kReadingsAtOnce));
  }
  return absl::OkStatus();
}

}  // namespace pepeunit::state_logger
