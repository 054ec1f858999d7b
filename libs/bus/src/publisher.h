#pragma once

#include <nats/nats.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "nats_handles.h"
#include "pepeunit/bus/bus.h"

namespace pepeunit::bus {

// Publishes to JetStream with many acks outstanding: one inbox for all, a slot for each. Much faster than libnats' own
// calls, which either wait for each ack or tell nothing but failures. Thread-safe.
class Publisher {
 public:
  static constexpr std::size_t kWindow = 4096;
  static constexpr std::int64_t kTimeoutMs = 5'000;

  // `prompt` sends at once, or is null; acks come over the other one.
  Publisher(natsConnection* connection, natsConnection* prompt);
  ~Publisher();

  absl::Status Start();
  void Publish(const std::string& subject, std::string_view payload, const PublishOptions& options,
               std::function<void(PublishResult)> done);
  std::size_t outstanding() const { return outstanding_; }
  // Tells everyone who waits that nothing is known: after a loss of the connection.
  void FailAll();
  void Stop();

 private:
  struct Slot {
    std::function<void(PublishResult)> done;  // empty when the slot is free
    std::uint32_t generation = 0;             // tells a late ack from that of the slot's next use
    std::int64_t deadline_ms = 0;
  };

  static void OnAck(natsConnection*, natsSubscription*, natsMsg* message, void* self);
  void Acked(natsMsg* message);
  // Above this rate it costs less, and takes no longer, to send messages together.
  static constexpr std::int64_t kStretchMs = 100;
  static constexpr int kMostPrompt = 300;  // in a stretch
  bool IsQuiet(std::int64_t now_ms);
  natsStatus Send(natsConnection* connection, const std::string& subject, const std::string& reply,
                  std::string_view payload, const PublishOptions& options);
  std::function<void(PublishResult)> Take(std::uint32_t slot, std::uint32_t generation);
  void Expire(std::int64_t now_ms);
  // The library hands each message that is destroyed to a thread of its own, which sleeps again after it: two switches
  // of threads for each. So they are destroyed many at a time.
  void Bury(natsMsg* message);
  void DestroyBuried();
  void Sweep();

  natsConnection* const connection_;
  natsConnection* const prompt_;
  std::string inbox_;
  SubscriptionPtr subscription_;
  std::mutex mutex_;
  std::vector<Slot> slots_{kWindow};
  std::vector<std::uint32_t> free_;
  std::atomic<std::size_t> outstanding_ = 0;  // slots that are not free, for who looks without the lock
  std::int64_t stretch_ms_ = 0;
  int in_stretch_ = 0, in_last_ = 0;
  std::mutex buried_mutex_;
  std::vector<MsgPtr> buried_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::thread sweeper_;
};

}  // namespace pepeunit::bus
