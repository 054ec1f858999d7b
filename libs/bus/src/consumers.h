#pragma once

#include <string>
#include <vector>

#include "nats_handles.h"
#include "pepeunit/bus/bus.h"

namespace pepeunit::bus {

// Without its headers, which cost a table of them for each message.
Message ToMessage(natsMsg* message);

// A pull subscription whose Fetch returns what is there at once, and else waits for one message.
class PullSubscription {
 public:
  natsSubscription* get() const { return subscription_.get(); }
  void Reset(natsSubscription* subscription = nullptr) { subscription_.reset(subscription); }
  explicit operator bool() const { return subscription_ != nullptr; }
  absl::StatusOr<std::vector<MsgPtr>> Fetch(std::size_t max, std::chrono::milliseconds timeout);

 private:
  SubscriptionPtr subscription_;
};

class PositionedReader final : public StreamReader {
 public:
  PositionedReader(jsCtx* js, std::string stream, std::string filter, std::uint64_t from)
      : js_(js), stream_(std::move(stream)), filter_(std::move(filter)), next_(from == 0 ? 1 : from) {}
  absl::StatusOr<std::vector<Message>> Fetch(std::size_t max, std::chrono::milliseconds timeout) override;

 private:
  absl::Status Open();

  jsCtx* js_;
  std::string stream_, filter_;
  std::uint64_t next_;           // the first position that was not given out
  std::uint64_t delivered_ = 0;  // the consumer's own count, without gaps
  PullSubscription subscription_;
};

class AckingConsumer final : public DurableConsumer {
 public:
  AckingConsumer(natsConnection* connection, jsCtx* js, std::string stream, std::string durable, std::string filter)
      : connection_(connection),
        js_(js),
        stream_(std::move(stream)),
        durable_(std::move(durable)),
        filter_(std::move(filter)) {}
  absl::StatusOr<std::vector<Message>> Fetch(std::size_t max, std::chrono::milliseconds timeout) override;
  absl::Status AckFetched() override;
  void ReturnFetched() override;
  absl::StatusOr<std::uint64_t> AckedUpTo() override;

 private:
  absl::Status Open();

  natsConnection* connection_;
  jsCtx* js_;
  std::string stream_, durable_, filter_;
  PullSubscription subscription_;
  std::vector<MsgPtr> fetched_;
};

}  // namespace pepeunit::bus
