#include "change_feed.h"

#include <algorithm>
#include <set>

#include "feed_view.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/base/log.h"
#include "rights.h"

namespace pepeunit::graph_registry {
namespace {

using graph::v1::GraphChange;

constexpr int kStretch = 200;                // rows; each makes one message at most
constexpr std::size_t kRoom = kStretch + 2;  // what a turn may tell to one
static_assert(kRoom <= ChangeFeed::kQueue);
constexpr std::chrono::milliseconds kAfterFailure{1000};

GraphChange At(const FeedPlace& place) {
  GraphChange change;
  change.set_event_id(place.ToString());
  return change;
}

bool SameParty(const rpc::Caller& a, const rpc::Caller& b) {
  if (a.signed_in() != b.signed_in()) return false;
  return a.signed_in() ? a.user_id == b.user_id : a.client_address == b.client_address;
}

}  // namespace

void ChangeFeed::Start() {
  thread_ = std::thread([this] { Loop(); });
}

void ChangeFeed::Stop() {
  Watchers ended;
  {
    std::lock_guard lock(mutex_);
    stopped_ = true;
    ended.swap(watchers_);
  }
  wake_.notify_all();
  for (const auto& watcher : ended)
    watcher->outlet->End(Unavailable("The feed is stopping; go on from the last event id."));
  if (thread_.joinable()) thread_.join();
}

absl::Status ChangeFeed::Watch(const rpc::Caller& caller, const graph::v1::WatchGraphRequest& request,
                               std::shared_ptr<Outlet> outlet) {
  auto watcher = std::make_shared<Watcher>();
  watcher->caller = caller;
  watcher->outlet = std::move(outlet);
  watcher->begin = watcher->told = watcher->moved = Clock::now();
  const auto last = FeedPlace::Parse(request.last_event_id());
  if (!last && !request.last_event_id().empty()) return InvalidField("last_event_id", "is not the id of an event");
  PEPEUNIT_ASSIGN_OR_RETURN(const FeedBounds bounds, store_.Bounds(caller.user_id));
  // One of another database, or of one that was set back, would wait for what never comes. What went before somebody
  // was there he cannot have seen.
  const bool lost = last && (*last < bounds.forgotten || *last < bounds.born || *last > bounds.newest);
  watcher->place = last && !lost ? *last : bounds.now;
  GraphChange first = At(watcher->place);
  if (lost)
    first.mutable_reset();
  else
    first.mutable_ready();
  watcher->outlet->Push(std::move(first));
  return Admit(watcher);
}

absl::Status ChangeFeed::Admit(const std::shared_ptr<Watcher>& watcher) {
  {
    std::lock_guard lock(mutex_);
    if (stopped_) return Unavailable("The feed is stopping; try again.");
    std::erase_if(watchers_, [](const auto& other) { return other->outlet->over(); });
    const auto count = std::count_if(watchers_.begin(), watchers_.end(),
                                     [&](const auto& other) { return SameParty(other->caller, watcher->caller); });
    constexpr std::int64_t kRetryMs = 5'000;
    if (watchers_.size() >= limits_.watchers) return Limit("Too many watch the graph; try again later.", kRetryMs);
    if (static_cast<std::size_t>(count) >= limits_.each) {
      return Limit("At most " + std::to_string(limits_.each) + " feeds may be open for one user or address.", kRetryMs);
    }
    watchers_.push_back(watcher);
  }
  wake_.notify_all();
  return absl::OkStatus();
}

void ChangeFeed::Loop() {
  std::chrono::milliseconds wait{0};
  std::unique_lock lock(mutex_);
  while (!stopped_) {
    if (watchers_.empty()) wake_.wait(lock, [this] { return stopped_ || !watchers_.empty(); });
    lock.unlock();
    const auto more = Turn();
    if (!more.ok()) log::Warning("the feed of changes waits", {{"status", more.status()}});
    wait = !more.ok() ? kAfterFailure : *more ? std::chrono::milliseconds(0) : limits_.poll;
    lock.lock();
    wake_.wait_for(lock, wait, [this] { return stopped_; });
  }
}

ChangeFeed::Watchers ChangeFeed::Living() {
  std::lock_guard lock(mutex_);
  std::erase_if(watchers_, [](const auto& watcher) { return watcher->outlet->over(); });
  return watchers_;
}

absl::StatusOr<bool> ChangeFeed::Turn() {
  const auto now = Clock::now();
  Watchers ready = Living();
  if (now - checked_ >= limits_.recheck) PEPEUNIT_RETURN_IF_ERROR(Recheck(ready));
  for (const auto& watcher : ready) KeepUp(*watcher, now);
  std::erase_if(ready, [](const auto& watcher) { return watcher->outlet->room() < kRoom; });
  if (ready.empty()) return false;
  const auto [back, front] =
      std::minmax_element(ready.begin(), ready.end(), [](const auto& a, const auto& b) { return a->place < b->place; });
  const FeedPlace first = (*back)->place, last = (*front)->place;
  PEPEUNIT_ASSIGN_OR_RETURN(bool more, Advance(ready, last));
  if (first < last) {
    PEPEUNIT_ASSIGN_OR_RETURN(const bool behind, Advance(ready, first));
    more = more || behind;
  }
  for (const auto& watcher : ready) {
    if (now - watcher->told < limits_.heartbeat) continue;
    GraphChange beat = At(watcher->place);
    beat.mutable_heartbeat();
    if (watcher->outlet->Push(std::move(beat))) watcher->told = now;
  }
  return more;
}

// A session that ended, or a power that was lost, must not see what comes.
absl::Status ChangeFeed::Recheck(const Watchers& watchers) {
  std::vector<rpc::Caller> callers;
  for (const auto& watcher : watchers) callers.push_back(watcher->caller);
  PEPEUNIT_ASSIGN_OR_RETURN(const auto admitted, callers_.AdmitAgain(callers));
  checked_ = Clock::now();
  for (std::size_t i = 0; i < watchers.size(); ++i) {
    Watcher& watcher = *watchers[i];
    if (!admitted[i]) {
      watcher.outlet->End(Unauthenticated("This session or token has ended; sign in again."));
    } else if (watcher.caller.administrator && !admitted[i]->administrator) {
      watcher.caller.administrator = false;
      GraphChange reset = At(watcher.place);
      reset.mutable_reset();
      if (!watcher.outlet->Push(std::move(reset)))
        watcher.outlet->End(Unavailable("Your rights have changed; load the graph anew."));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> ChangeFeed::Advance(const Watchers& ready, const FeedPlace& from) {
  std::set<Uuid> users;
  for (const auto& watcher : ready) {
    if (watcher->caller.signed_in()) users.insert(watcher->caller.user_id);
  }
  PEPEUNIT_ASSIGN_OR_RETURN(const FeedBatch batch, store_.Read(from, kStretch, {users.begin(), users.end()}));
  if (!batch.changes.empty()) PEPEUNIT_RETURN_IF_ERROR(Recheck(ready));
  for (const auto& watcher : ready) {
    if (watcher->place >= from && watcher->place < batch.end) Tell(*watcher, batch);
  }
  return batch.more;
}

void ChangeFeed::Tell(Watcher& watcher, const FeedBatch& batch) {
  if (watcher.place < batch.forgotten) {
    watcher.place = batch.end;
    GraphChange reset = At(watcher.place);
    reset.mutable_reset();
    watcher.outlet->Push(std::move(reset));
    return;
  }
  const access::Subject viewer = SubjectOf(watcher.caller);
  for (const FeedChange& change : batch.changes) {
    if (change.last <= watcher.place) continue;
    auto told = ViewOf(viewer, change, batch);
    if (!told) continue;
    told->set_event_id(std::max(change.place, watcher.place).ToString());
    // There was room for all of it, so the stream is over.
    if (!watcher.outlet->Push(*std::move(told))) return;
    watcher.told = Clock::now();
  }
  watcher.place = batch.end;
}

void ChangeFeed::KeepUp(Watcher& watcher, Clock::time_point now) const {
  const std::uint64_t taken = watcher.outlet->taken();
  if (taken != watcher.taken || watcher.outlet->room() == kQueue) watcher.moved = now;
  watcher.taken = taken;
  if (now - watcher.moved > limits_.patience)
    watcher.outlet->End(Limit("You read too slowly; go on from the last event id."));
  else if (now - watcher.begin > limits_.life)
    watcher.outlet->End(absl::OkStatus());
}

}  // namespace pepeunit::graph_registry
