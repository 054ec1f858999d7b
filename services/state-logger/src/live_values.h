#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "history_store.h"
#include "pepeunit/bus/bus.h"
#include "pepeunit/log/v1/values.pb.h"
#include "pepeunit/rpc/outlet.h"
#include "values.h"

namespace pepeunit::state_logger {

struct LiveLimits {
  std::size_t watchers = 1'000;              // in this process
  std::size_t each = 16;                     // of one user, or of one address without registration
  int variables = 1'000;                     // of one of them
  std::chrono::milliseconds pace{20};        // between two rounds of telling
  std::chrono::milliseconds recheck{5'000};  // of who may see what
  std::chrono::milliseconds heartbeat{15'000};
  std::chrono::milliseconds patience{60'000};  // with one who takes nothing of what waits for him
  std::chrono::milliseconds life{3'600'000};   // of one stream
};

// Tells values to those who watch them as they come over the bus: readings when unit-ingest puts them on the stream,
// inputs when they are stored. Of a variable only the newest value waits for a slow reader. One thread tells, one looks
// at rights again and again. Watch is thread-safe; Start and Stop are called once.
class LiveValues {
 public:
  using Outlet = rpc::Outlet<log::v1::ValueUpdate>;
  static constexpr std::size_t kQueue = 64;  // messages that wait for one of them; more values are merged

  // `bus` shares its threads among subscriptions, for there is one for each unit that is watched.
  LiveValues(bus::Bus& bus, HistoryStore& store, Rights& rights, const LiveLimits& limits = {})
      : bus_(bus), store_(store), rights_(rights), limits_(limits) {}
  ~LiveValues() { Stop(); }

  void Start();
  // Ends all streams (UNAVAILABLE: they may go on elsewhere), and those that come later.
  void Stop();

  // Fills the outlet, whose bound is kQueue, from now on.
  absl::Status Watch(const rpc::Caller& caller, const log::v1::WatchValuesRequest& request,
                     std::shared_ptr<Outlet> outlet);

 private:
  using Clock = std::chrono::steady_clock;

  struct Pending {
    std::int64_t time_ms = 0;
    bus::v1::Scalar value;
  };
  struct Watcher {
    rpc::Caller caller;
    graph::v1::FindOutputsRequest filter;
    std::shared_ptr<Outlet> outlet;
    std::map<Uuid, Uuid> units;              // by variable that he may see
    std::map<Uuid, std::int64_t> newest_ms;  // of outputs
    std::map<Uuid, Pending> pending;
    std::vector<Uuid> gone;
    Clock::time_point begin, told, moved;
    std::uint64_t taken = 0;
  };
  // The subscriptions to a unit, while somebody watches it.
  struct Unit {
    std::set<std::shared_ptr<Watcher>> watchers;
    std::unique_ptr<bus::Subscription> reports, inputs;
  };

  absl::Status Admit(const std::shared_ptr<Watcher>& watcher);
  absl::StatusOr<std::map<Uuid, Uuid>> Visible(const Watcher& watcher);
  std::map<Uuid, Uuid> VisibleOneByOne(const Watcher& watcher);
  void Subscribe(const std::shared_ptr<Watcher>& watcher);
  void OnReport(const Uuid& unit, const bus::Message& message);
  void OnInput(const Uuid& unit, const bus::Message& message);
  void Offer(const Uuid& unit, const Uuid& variable, bool output, std::int64_t time_ms, const bus::v1::Scalar& value);
  void Tell();
  void TellOne(Watcher& watcher, Clock::time_point now);
  void Recheck();
  void See(const std::shared_ptr<Watcher>& watcher, std::map<Uuid, Uuid> visible);
  void Remove(const std::shared_ptr<Watcher>& watcher);

  bus::Bus& bus_;
  HistoryStore& store_;
  Rights& rights_;
  const LiveLimits limits_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopped_ = false, news_ = false;
  std::vector<std::shared_ptr<Watcher>> watchers_;
  std::map<Uuid, std::shared_ptr<Unit>> units_;
  std::thread telling_, checking_;
};

}  // namespace pepeunit::state_logger
