#include "unit_update.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>

namespace pepeunit::graph_registry {
namespace {

constexpr std::size_t kMostReason = 512;

void Enter(graph::v1::UpdateState state, std::int64_t now_ms, UpdateRow* row) {
  if (row->state != state) row->since_ms = now_ms;
  row->state = state;
}

// A new offer of the version that the unit stands at.
void Offer(std::int64_t now_ms, UpdateRow* row) {
  ++row->attempt;
  row->offered = true;
  row->done_bytes = row->total_bytes = 0;
  row->heard_ms = now_ms;
}

bool OnTheWay(graph::v1::UpdateState state) {
  return state == graph::v1::UPDATE_STATE_DOWNLOADING || state == graph::v1::UPDATE_STATE_VERIFYING ||
         state == graph::v1::UPDATE_STATE_RESTARTING;
}

void HearProgress(const bus::v1::DeviceUpdate& told, std::int64_t now_ms, UpdateRow* row) {
  row->heard_ms = now_ms;
  row->done_bytes = told.done_bytes();
  row->total_bytes = told.total_bytes();
  row->reason = told.reason().substr(0, kMostReason);
  switch (told.state()) {
    case bus::v1::DEVICE_UPDATE_STATE_DOWNLOADING:
      return Enter(graph::v1::UPDATE_STATE_DOWNLOADING, now_ms, row);
    case bus::v1::DEVICE_UPDATE_STATE_VERIFYING:
      return Enter(graph::v1::UPDATE_STATE_VERIFYING, now_ms, row);
    case bus::v1::DEVICE_UPDATE_STATE_RESTARTING:
      return Enter(graph::v1::UPDATE_STATE_RESTARTING, now_ms, row);
    case bus::v1::DEVICE_UPDATE_STATE_FAILED:
      row->since_ms = now_ms;
      Enter(graph::v1::UPDATE_STATE_FAILED, now_ms, row);
      row->offered = ++row->failures < kMostUpdateFailures;
      if (row->offered) ++row->attempt;
      return;
    case bus::v1::DEVICE_UPDATE_STATE_ROLLED_BACK:
      Enter(graph::v1::UPDATE_STATE_ROLLED_BACK, now_ms, row);
      ++row->failures;
      row->offered = false;  // it would break in the same way
      return;
    default:
      return;
  }
}

}  // namespace

void Retarget(const std::string& target, std::int64_t now_ms, UpdateRow* row) {
  Offer(now_ms, row);
  row->offered_ms = now_ms;
  row->failures = 0;
  row->reason.clear();
  row->since_ms = now_ms;
  row->state = row->running_commit.empty()     ? graph::v1::UPDATE_STATE_UNKNOWN
               : row->running_commit == target ? graph::v1::UPDATE_STATE_CONFIRMED
                                               : graph::v1::UPDATE_STATE_OFFERED;
}

void Hear(const bus::v1::DeviceTold& told, const std::string& target, UpdateRow* row) {
  if (told.sequence() <= row->sequence) return;
  row->sequence = told.sequence();
  const std::int64_t now_ms = told.time_ms();
  if (!told.commit().empty() && told.commit() != row->running_commit) {
    row->running_commit = told.commit();
    row->running_ms = now_ms;
  }
  if (row->running_commit == target) {
    Enter(graph::v1::UPDATE_STATE_CONFIRMED, now_ms, row);
    row->reason.clear();
    row->heard_ms = now_ms;
    return;
  }
  if (told.has_update() && told.update().commit() == target && told.update().attempt() == row->attempt && row->offered)
    return HearProgress(told.update(), now_ms, row);
  const bool gone_back = row->state == graph::v1::UPDATE_STATE_CONFIRMED;
  if (!row->running_commit.empty() && (gone_back || row->state == graph::v1::UPDATE_STATE_UNKNOWN)) {
    Enter(graph::v1::UPDATE_STATE_OFFERED, now_ms, row);
    row->heard_ms = now_ms;
    if (gone_back) Offer(now_ms, row);
  }
}

void Expire(const UpdateTimeouts& timeouts, std::int64_t now_ms, UpdateRow* row) {
  const std::int64_t silent_ms = now_ms - row->heard_ms;
  if (OnTheWay(row->state) && silent_ms >= timeouts.silence_ms) {
    row->reason = "The device fell silent while it was " +
                  std::string(row->state == graph::v1::UPDATE_STATE_DOWNLOADING ? "downloading"
                              : row->state == graph::v1::UPDATE_STATE_VERIFYING ? "verifying"
                                                                                : "restarting") +
                  ".";
  } else if (row->state == graph::v1::UPDATE_STATE_OFFERED && silent_ms >= timeouts.deadline_ms) {
    row->reason = "The device did not come for it.";
  } else {
    return;
  }
  Enter(graph::v1::UPDATE_STATE_TIMED_OUT, now_ms, row);
}

bool Retry(std::int64_t now_ms, UpdateRow* row) {
  if (row->state == graph::v1::UPDATE_STATE_CONFIRMED || OnTheWay(row->state)) return false;
  Offer(now_ms, row);
  row->failures = 0;
  row->reason.clear();
  if (row->state != graph::v1::UPDATE_STATE_UNKNOWN) Enter(graph::v1::UPDATE_STATE_OFFERED, now_ms, row);
  return true;
}

graph::v1::UnitUpdate ToMessage(const UpdateRow& row) {
  const auto time = [](std::int64_t ms) { return google::protobuf::util::TimeUtil::MillisecondsToTimestamp(ms); };
  graph::v1::UnitUpdate update;
  update.set_state(row.state);
  *update.mutable_since() = time(row.since_ms);
  update.set_running_commit(row.running_commit);
  if (row.running_ms != 0) *update.mutable_running_since() = time(row.running_ms);
  update.set_done_bytes(row.done_bytes);
  update.set_total_bytes(row.total_bytes);
  update.set_reason(row.reason);
  *update.mutable_offered_at() = time(row.offered_ms);
  update.set_attempts_failed(row.failures);
  if (row.offered && row.state != graph::v1::UPDATE_STATE_CONFIRMED)
    update.set_attempts_left(kMostUpdateFailures - std::min(row.failures, kMostUpdateFailures));
  return update;
}

}  // namespace pepeunit::graph_registry
