#include "live_values.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>

#include "pepeunit/base/errors.h"
#include "pepeunit/base/log.h"
#include "pepeunit/values/values.h"

namespace pepeunit::state_logger {
namespace {

using google::protobuf::util::TimeUtil;

constexpr std::int64_t kRetryMs = 5'000;

absl::Status Stopping() { return Unavailable("The stream is stopping; ask again."); }

bool SameParty(const rpc::Caller& a, const rpc::Caller& b) {
  if (a.signed_in() != b.signed_in()) return false;
  return a.signed_in() ? a.user_id == b.user_id : a.client_address == b.client_address;
}

}  // namespace

void LiveValues::Start() {
  telling_ = std::thread([this] { Tell(); });
  checking_ = std::thread([this] { Recheck(); });
}

void LiveValues::Stop() {
  std::vector<std::shared_ptr<Watcher>> ended;
  std::map<Uuid, std::shared_ptr<Unit>> units;  // their callbacks take the lock, so they end without it
  {
    std::lock_guard lock(mutex_);
    stopped_ = true;
    ended.swap(watchers_);
    units.swap(units_);
  }
  wake_.notify_all();
  for (const auto& watcher : ended) watcher->outlet->End(Stopping());
  units.clear();
  for (std::thread* thread : {&telling_, &checking_}) {
    if (thread->joinable()) thread->join();
  }
}

absl::StatusOr<std::map<Uuid, Uuid>> LiveValues::Visible(const Watcher& watcher) {
  PEPEUNIT_ASSIGN_OR_RETURN(const auto found, rights_.FindOutputs(watcher.caller, watcher.filter));
  std::map<Uuid, Uuid> units;
  for (const auto& output : found.outputs()) {
    const auto variable = Uuid::Parse(output.variable().id()), unit = Uuid::Parse(output.variable().unit_id());
    if (variable && unit) units.emplace(*variable, *unit);
  }
  return units;
}

// Of what he asked for by its id something is gone, and not the rest.
std::map<Uuid, Uuid> LiveValues::VisibleOneByOne(const Watcher& watcher) {
  std::map<Uuid, Uuid> all;
  const auto add = [&](auto name) {
    Watcher one;
    one.caller = watcher.caller;
    one.filter.set_inputs(true);
    one.filter.set_limit(limits_.variables);
    name(one.filter);
    if (const auto found = Visible(one); found.ok()) all.insert(found->begin(), found->end());
  };
  for (const std::string& id : watcher.filter.variable_ids()) add([&](auto& filter) { filter.add_variable_ids(id); });
  for (const std::string& id : watcher.filter.unit_ids()) add([&](auto& filter) { filter.add_unit_ids(id); });
  return all;
}

absl::Status LiveValues::Watch(const rpc::Caller& caller, const log::v1::WatchValuesRequest& request,
                               std::shared_ptr<Outlet> outlet) {
  if (request.variable_ids().empty() && request.unit_ids().empty())
    return InvalidField("variable_ids", "say which values: variable_ids or unit_ids");
  auto watcher = std::make_shared<Watcher>();
  watcher->caller = caller;
  watcher->outlet = std::move(outlet);
  *watcher->filter.mutable_variable_ids() = request.variable_ids();
  *watcher->filter.mutable_unit_ids() = request.unit_ids();
  watcher->filter.set_inputs(true);
  watcher->filter.set_limit(limits_.variables);
  watcher->begin = watcher->told = watcher->moved = Clock::now();
  PEPEUNIT_ASSIGN_OR_RETURN(watcher->units, Visible(*watcher));
  PEPEUNIT_RETURN_IF_ERROR(Admit(watcher));
  // What comes from here on waits for him already; what was before is looked up.
  std::vector<Uuid> ids;
  for (const auto& [variable, unit] : watcher->units) ids.push_back(variable);
  const auto newest = store_.Latest(ids);
  if (!newest.ok()) {
    Remove(watcher);
    return newest.status();
  }
  std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto& point = (*newest)[i];
    if (point) watcher->pending.try_emplace(ids[i], Pending{point->time_us / 1'000, point->value});
  }
  log::v1::ValueUpdate ready;
  ready.mutable_ready();
  watcher->outlet->Push(std::move(ready));
  watchers_.push_back(watcher);
  news_ = true;
  wake_.notify_all();
  return absl::OkStatus();
}

absl::Status LiveValues::Admit(const std::shared_ptr<Watcher>& watcher) {
  {
    std::lock_guard lock(mutex_);
    if (stopped_) return Stopping();
    const auto count = std::count_if(watchers_.begin(), watchers_.end(), [&](const auto& other) {
      return !other->outlet->over() && SameParty(other->caller, watcher->caller);
    });
    if (watchers_.size() >= limits_.watchers)
      return Limit("Too many streams of values are open; try again later.", kRetryMs);
    if (count >= static_cast<std::ptrdiff_t>(limits_.each))
      return Limit("You have " + std::to_string(limits_.each) + " streams of values open already; close some.",
                   kRetryMs);
  }
  Subscribe(watcher);
  const absl::Status status = bus_.Flush(std::chrono::seconds(2));
  if (!status.ok()) Remove(watcher);
  return status;
}

void LiveValues::Subscribe(const std::shared_ptr<Watcher>& watcher) {
  std::lock_guard lock(mutex_);
  for (const auto& [variable, id] : watcher->units) {
    auto& unit = units_[id];
    if (!unit) {
      unit = std::make_shared<Unit>();
      unit->reports = bus_.Subscribe("values.*.report." + id.ToString(),
                                     [this, id = id](const bus::Message& message) { OnReport(id, message); });
      unit->inputs = bus_.Subscribe("inputs." + id.ToString(),
                                    [this, id = id](const bus::Message& message) { OnInput(id, message); });
    }
    unit->watchers.insert(watcher);
  }
}

// A report is seen when it is on its way to the stream, which may refuse it: then the device is told so, and sends it
// again as another one.
void LiveValues::OnReport(const Uuid& unit, const bus::Message& message) {
  bus::v1::ValueMessage value;
  if (!value.ParseFromString(message.payload) || !value.has_report()) return;
  for (const auto& reading : value.report().readings()) {
    if (const auto variable = Uuid::FromBytes(reading.variable_id()))
      Offer(unit, *variable, true, reading.time_ms(), reading.value());
  }
}

void LiveValues::OnInput(const Uuid& unit, const bus::Message& message) {
  bus::v1::InputChanged input;
  if (!input.ParseFromString(message.payload)) return;
  if (const auto variable = Uuid::FromBytes(input.input_id()))
    Offer(unit, *variable, false, input.time_ms(), input.value());
}

void LiveValues::Offer(const Uuid& id, const Uuid& variable, bool output, std::int64_t time_ms,
                       const bus::v1::Scalar& value) {
  std::lock_guard lock(mutex_);
  const auto unit = units_.find(id);
  if (unit == units_.end()) return;
  for (const auto& watcher : unit->second->watchers) {
    if (watcher->units.count(variable) == 0) continue;
    if (output) {
      std::int64_t& newest = watcher->newest_ms[variable];
      if (time_ms < newest) continue;
      newest = time_ms;
    }
    watcher->pending[variable] = {time_ms, value};
    news_ = true;
  }
  if (news_) wake_.notify_all();
}

void LiveValues::Tell() {
  std::unique_lock lock(mutex_);
  while (!stopped_) {
    const bool waiting =
        std::any_of(watchers_.begin(), watchers_.end(), [](const auto& w) { return !w->pending.empty(); });
    wake_.wait_for(lock, waiting ? limits_.pace : std::chrono::milliseconds(500), [&] { return stopped_ || news_; });
    if (stopped_) return;
    news_ = false;
    const Clock::time_point now = Clock::now();
    for (const auto& watcher : watchers_) TellOne(*watcher, now);
    // What comes in the next milliseconds is told together.
    wake_.wait_for(lock, limits_.pace, [&] { return stopped_; });
  }
}

void LiveValues::TellOne(Watcher& watcher, Clock::time_point now) {
  Outlet& outlet = *watcher.outlet;
  if (outlet.over()) return;
  if (const std::uint64_t taken = outlet.taken(); taken != watcher.taken || outlet.room() == kQueue) {
    watcher.taken = taken;
    watcher.moved = now;
  }
  if (now - watcher.moved > limits_.patience)
    return outlet.End(Error(absl::StatusCode::kResourceExhausted, "LIMIT", "You read too slowly; ask again."));
  if (now - watcher.begin > limits_.life) return outlet.End(Stopping());
  std::size_t room = outlet.room();
  const auto push = [&](log::v1::ValueUpdate update) {
    watcher.told = now;
    --room;
    outlet.Push(std::move(update));
  };
  while (room > 0 && !watcher.gone.empty()) {
    log::v1::ValueUpdate update;
    update.mutable_gone()->set_variable_id(watcher.gone.back().ToString());
    watcher.gone.pop_back();
    push(std::move(update));
  }
  while (room > 0 && !watcher.pending.empty()) {
    const auto first = watcher.pending.begin();
    log::v1::ValueUpdate update;
    log::v1::ValueChanged& changed = *update.mutable_value();
    changed.set_variable_id(first->first.ToString());
    changed.set_unit_id(watcher.units[first->first].ToString());
    values::ToValue(values::ToJson(first->second.value), changed.mutable_value());
    *changed.mutable_time() = TimeUtil::MillisecondsToTimestamp(first->second.time_ms);
    watcher.pending.erase(first);
    push(std::move(update));
  }
  if (room > 0 && now - watcher.told > limits_.heartbeat) {
    log::v1::ValueUpdate update;
    update.mutable_heartbeat();
    push(std::move(update));
  }
}

void LiveValues::Recheck() {
  std::unique_lock lock(mutex_);
  while (!stopped_) {
    wake_.wait_for(lock, limits_.recheck, [&] { return stopped_; });
    const auto watchers = watchers_;
    lock.unlock();
    for (const auto& watcher : watchers) {
      if (watcher->outlet->over()) {
        Remove(watcher);
        continue;
      }
      auto visible = Visible(*watcher);
      if (visible.status().code() == absl::StatusCode::kNotFound) visible = VisibleOneByOne(*watcher);
      if (visible.status().code() == absl::StatusCode::kUnauthenticated) {
        watcher->outlet->End(visible.status());
        continue;
      }
      if (!visible.ok()) continue;  // graph-registry is away: asked again
      See(watcher, *std::move(visible));
    }
    lock.lock();
  }
}

void LiveValues::See(const std::shared_ptr<Watcher>& watcher, std::map<Uuid, Uuid> visible) {
  bool more = false;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [variable, unit] : watcher->units) {
      if (visible.count(variable) != 0) continue;
      watcher->pending.erase(variable);
      watcher->gone.push_back(variable);
      news_ = true;
    }
    // A unit may have new ones.
    more =
        std::any_of(visible.begin(), visible.end(), [&](const auto& v) { return watcher->units.count(v.first) == 0; });
    watcher->units = std::move(visible);
  }
  if (more) Subscribe(watcher);
}

void LiveValues::Remove(const std::shared_ptr<Watcher>& watcher) {
  std::vector<std::shared_ptr<Unit>> unwatched;  // their callbacks take the lock, so they end without it
  std::lock_guard lock(mutex_);
  std::erase(watchers_, watcher);
  for (auto it = units_.begin(); it != units_.end();) {
    it->second->watchers.erase(watcher);
    if (it->second->watchers.empty()) {
      unwatched.push_back(std::move(it->second));
      it = units_.erase(it);
    } else {
      ++it;
    }
  }
}

}  // namespace pepeunit::state_logger
