#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "callers.h"
#include "feed_store.h"
#include "pepeunit/rpc/outlet.h"

namespace pepeunit::graph_registry {

struct FeedLimits {
  std::size_t watchers = 1000;  // in this process
  std::size_t each = 16;        // of one user, or of one address without registration
  std::chrono::milliseconds poll{100};
  std::chrono::milliseconds heartbeat{15'000};  // between two of them
  std::chrono::milliseconds recheck{2'000};     // of who watches, when nothing changes
  std::chrono::milliseconds patience{60'000};   // with one who takes nothing of what waits for him
  std::chrono::milliseconds life{3'600'000};    // of one stream
};

// Tells those who watch what changes in the graph. One thread reads the feed, whoever watches: what is new once for all
// who are up to date, and older stretches once for those who are behind, because they came with an old event id or read
// slowly. Nobody's slowness or lateness holds up the others. Watch is thread-safe; Start and Stop are called once.
class ChangeFeed {
 public:
  using Outlet = rpc::Outlet<graph::v1::GraphChange>;
  static constexpr std::size_t kQueue = 256;  // messages that wait for one of them

  // What it refers to must outlive it.
  ChangeFeed(FeedStore& store, const Callers& callers, const FeedLimits& limits)
      : store_(store), callers_(callers), limits_(limits) {}
  ~ChangeFeed() { Stop(); }

  void Start();
  // Ends all streams (UNAVAILABLE: they may go on elsewhere), and those that come later.
  void Stop();

  // Fills the outlet, whose bound is kQueue, from now on. INVALID_ARGUMENT for what is no event id, RESOURCE_EXHAUSTED
  // when too many watch.
  absl::Status Watch(const rpc::Caller& caller, const graph::v1::WatchGraphRequest& request,
                     std::shared_ptr<Outlet> outlet);

 private:
  using Clock = std::chrono::steady_clock;

  // Touched by the feed's thread alone once it is listed, but for `caller`'s identity, which does not change.
  struct Watcher {
    rpc::Caller caller;
    std::shared_ptr<Outlet> outlet;
    FeedPlace place;  // all before it was told
    Clock::time_point begin, told, moved;
    std::uint64_t taken = 0;
  };
  using Watchers = std::vector<std::shared_ptr<Watcher>>;

  absl::Status Admit(const std::shared_ptr<Watcher>& watcher);
  void Loop();
  // One round for all; true when there is more to read already.
  absl::StatusOr<bool> Turn();
  // Those who are left.
  Watchers Living();
  absl::Status Recheck(const Watchers& watchers);
  // Tells what comes after the place to all who stand there or further on in that stretch.
  absl::StatusOr<bool> Advance(const Watchers& ready, const FeedPlace& from);
  static void Tell(Watcher& watcher, const FeedBatch& batch);
  void KeepUp(Watcher& watcher, Clock::time_point now) const;

  FeedStore& store_;
  const Callers& callers_;
  const FeedLimits limits_;
  Clock::time_point checked_{};
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopped_ = false;
  Watchers watchers_;
  std::thread thread_;
};

}  // namespace pepeunit::graph_registry
