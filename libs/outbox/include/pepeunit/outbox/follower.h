#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "pepeunit/bus/bus.h"
#include "pepeunit/bus/v1/events.pb.h"

// The other side of an outbox: follows the events of the stream EVENTS, durably.
namespace pepeunit::outbox {

struct Received {
  pepeunit::bus::v1::Event event;
  std::string subject, traceparent;
};
// What is done with events that came, in their order. They count as handled when it returns OK; else all of them come
// again, so it must be idempotent. What can never be applied it has to pass over.
using Apply = std::function<absl::Status(const std::vector<Received>&)>;

// For what concerns one event at a time: runs it in the trace of whoever wrote the event.
Apply OneByOne(std::function<absl::Status(const pepeunit::bus::v1::Event&)> apply);

// An event that its reader can do nothing with, told in the log.
absl::Status PassOver(const std::string& subject);  // OK

struct FollowOptions {
  std::string durable;        // of the service and what it follows: its replicas share the work
  std::string filter;         // subjects: `events.repo.sync.>`
  std::string what_waits;     // while events cannot be applied, for the log
  std::size_t at_once = 100;  // as many as can be applied within 30 s: what takes longer comes again meanwhile
  // Runs before the first event is fetched, again and again until it is OK: for those who begin from another source.
  std::function<absl::Status()> prepare{};
};

// Follows on a thread of its own and tries again with backoff, for as long as it takes. Events that cannot be parsed
// are told in the log and passed over. Start, Stop and CatchUp are one owner's.
class Follower {
 public:
  Follower(bus::Bus& bus, FollowOptions options, Apply apply)
      : bus_(bus), options_(std::move(options)), apply_(std::move(apply)) {}
  ~Follower() { Stop(); }

  // From its return on, every event that was in the stream before the call is applied. Applies what waits in the
  // calling thread; what Loop or another replica took already is waited for, and after 5 s without any progress
  // UNAVAILABLE.
  absl::Status CatchUp();
  void Start();
  // Returns when what is being applied is done. `apply` may ask `stopping` to be done sooner.
  void Stop();
  bool stopping() const;

 private:
  void Loop();
  // What was fetched and is not acknowledged yet: it is tried again here, long before the bus would deliver it again.
  struct Fetched {
    std::vector<Received> events;
    bool any = false;
  };
  // False when nothing came.
  absl::StatusOr<bool> Step(bus::DurableConsumer& consumer, std::chrono::milliseconds wait, Fetched* fetched);

  bus::Bus& bus_;
  const FollowOptions options_;
  const Apply apply_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace pepeunit::outbox
