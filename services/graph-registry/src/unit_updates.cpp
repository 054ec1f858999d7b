#include "unit_updates.h"

#include "pepeunit/base/clock.h"
#include "pepeunit/base/errors.h"
#include "rights.h"

namespace pepeunit::graph_registry {

absl::Status UnitUpdates::Retry(const rpc::Caller& caller, const std::string& unit) {
  PEPEUNIT_ASSIGN_OR_RETURN(const NodeFacts facts, FindNode(store_, caller, "id", unit, access::Role::kMaintainer,
                                                            "unit", graph::v1::NODE_TYPE_UNIT));
  const Actor actor = ActorOf(caller, {{facts.id, access::Role::kMaintainer, "unit"}});
  return updates_.ChangeUpdate(
      actor, "unit.retry-update", facts.id, [](const std::string&, UpdateRow* row) -> absl::Status {
        if (graph_registry::Retry(NowMs(), row)) return absl::OkStatus();
        return Error(absl::StatusCode::kFailedPrecondition, "NOTHING_TO_RETRY",
                     "There is nothing to try again: the device runs the unit's version, or is on the way to it.");
      });
}

absl::Status UnitUpdates::OfferAgain(const Actor& actor, const Uuid& unit) {
  return updates_.ChangeUpdate(actor, "unit.retry-update", unit,
                               [](const std::string&, UpdateRow* row) -> absl::Status {
                                 graph_registry::Retry(NowMs(), row);
                                 return absl::OkStatus();
                               });
}

absl::Status UnitUpdates::Hear(const bus::v1::DeviceTold& told) {
  const auto unit = Uuid::Parse(told.unit_id());
  if (!unit) return absl::OkStatus();
  const absl::Status status =
      updates_.ChangeUpdate({}, "hear", *unit, [&](const std::string& target, UpdateRow* row) -> absl::Status {
        graph_registry::Hear(told, target, row);
        return absl::OkStatus();
      });
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

absl::StatusOr<std::int64_t> UnitUpdates::Expire() {
  constexpr int kAtOnce = 200;
  PEPEUNIT_ASSIGN_OR_RETURN(const auto silent, updates_.ListSilent(timeouts_, kAtOnce));
  for (const Uuid& unit : silent) {
    const absl::Status status =
        updates_.ChangeUpdate({}, "expire", unit, [&](const std::string&, UpdateRow* row) -> absl::Status {
          graph_registry::Expire(timeouts_, NowMs(), row);
          return absl::OkStatus();
        });
    if (!status.ok() && !absl::IsNotFound(status)) return status;
  }
  return static_cast<std::int64_t>(silent.size());
}

}  // namespace pepeunit::graph_registry
