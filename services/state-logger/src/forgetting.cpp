#include "forgetting.h"

#include "pepeunit/base/errors.h"
#include "pepeunit/base/log.h"

namespace pepeunit::state_logger {

namespace {

constexpr std::size_t kEventsAtOnce = 100;

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

Forgetting::Forgetting(bus::Bus& bus, ValueStore& store)
    : bus_(bus),
      store_(store),
      follower_(bus,
                {.durable = "state-logger-graph-unit",
                 .filter = "events.graph.unit.>",
                 .what_waits = "what was removed or stopped waits to be",
                 .at_once = kEventsAtOnce},
                [this](const std::vector<outbox::Received>& events) { return Apply(events); }) {}

absl::Status Forgetting::Apply(const std::vector<outbox::Received>& events) {
  Ended ended;
  for (const outbox::Received& received : events) {
    if (received.event.has_unit_changed())
      AddEnded(received.event.unit_changed(), &ended);
    else
      (void)outbox::PassOver(received.subject);
  }
  if (ended.empty()) return absl::OkStatus();
  PEPEUNIT_RETURN_IF_ERROR(store_.End(ended));
  if (!ended.variables.empty()) log::Info("values forgotten", {{"variables", ended.variables.size()}});
  return absl::OkStatus();
}

absl::Status Forgetting::ApplyNow(const rpc::Caller& caller, const log::v1::ApplyUnitChangesRequest& request) {
  if (caller.kind != rpc::Caller::Kind::kService) return Forbidden("Only services may tell this.");
  Ended ended;
  for (const auto& changed : request.changes()) AddEnded(changed, &ended);
  if (ended.empty()) return absl::OkStatus();
  PEPEUNIT_RETURN_IF_ERROR(store_.End(ended));
  for (const auto& changed : request.changes()) {
    bus::v1::Event event;
    *event.mutable_unit_changed() = changed;
    PEPEUNIT_RETURN_IF_ERROR(bus_.PublishCore("voided.unit." + changed.unit_id(), event.SerializeAsString()));
  }
  return bus_.Flush(std::chrono::seconds(2));
}

}  // namespace pepeunit::state_logger
