#include "forgetting.h"

#include <algorithm>
#include <chrono>

#include "pepeunit/base/backoff.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/base/log.h"
#include "pepeunit/bus/v1/events.pb.h"

namespace pepeunit::state_logger {

namespace {

constexpr int kReadingsAtOnce = 10'000;
// Few, for their histories have to be deleted before the bus delivers them again (30 s).
constexpr std::size_t kEventsAtOnce = 20;

}  // namespace

void Forgetting::Start() {
  thread_ = std::thread([this] { Loop(); });
}

void Forgetting::Stop() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

void Forgetting::Loop() {
  const auto consumer = bus_.Consume(bus::kEventsStream, "state-logger-graph-unit", "events.graph.unit.>");
  Backoff backoff(std::chrono::milliseconds(200), std::chrono::milliseconds(3'000));
  while (!stop_) {
    const auto messages = consumer->Fetch(kEventsAtOnce, std::chrono::milliseconds(500));
    absl::Status status = messages.status();
    for (std::size_t i = 0; status.ok() && i < messages->size(); ++i) status = Apply((*messages)[i]);
    if (status.ok() && !messages->empty()) status = consumer->AckFetched();
    if (status.ok()) {
      backoff.Reset();
      continue;
    }
    if (!stop_) log::Warning("removed values wait to be forgotten", {{"status", status}});
    for (auto left = backoff.Next(); left.count() > 0 && !stop_; left -= std::chrono::milliseconds(100)) {
      std::this_thread::sleep_for(std::min(left, std::chrono::milliseconds(100)));
    }
  }
}

absl::Status Forgetting::Apply(const bus::Message& message) {
  bus::v1::Event event;
  if (!event.ParseFromString(message.payload) || !event.has_unit_changed()) {
    log::Error("an event cannot be read; it is passed over", {{"subject", message.subject}});
    return absl::OkStatus();
  }
  const auto& changed = event.unit_changed();
  std::vector<Uuid> variables, units;
  for (const auto& text : changed.removed_variable_ids()) {
    if (const auto id = Uuid::Parse(text)) variables.push_back(*id);
  }
  if (const auto id = Uuid::Parse(changed.unit_id()); id && changed.deleted()) units.push_back(*id);
  if (variables.empty() && units.empty()) return absl::OkStatus();
  PEPEUNIT_RETURN_IF_ERROR(store_.Forget(variables, units));
  for (const Uuid& variable : variables) PEPEUNIT_RETURN_IF_ERROR(DeleteHistory(variable));
  log::Info("values forgotten", {{"unit", changed.unit_id()}, {"variables", variables.size()}});
  return absl::OkStatus();
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
