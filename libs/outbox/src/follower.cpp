#include "pepeunit/outbox/follower.h"

#include "pepeunit/base/backoff.h"
#include "pepeunit/base/clock.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/base/log.h"
#include "pepeunit/base/trace.h"

namespace pepeunit::outbox {
namespace {

constexpr std::int64_t kPatienceMs = 5'000;

}  // namespace

Apply OneByOne(std::function<absl::Status(const pepeunit::bus::v1::Event&)> apply) {
  return [apply = std::move(apply)](const std::vector<Received>& events) -> absl::Status {
    for (const Received& received : events) {
      const TraceScope scope(TraceContext::Parse(received.traceparent).value_or(TraceContext::New()));
      PEPEUNIT_RETURN_IF_ERROR(apply(received.event));
    }
    return absl::OkStatus();
  };
}

absl::Status PassOver(const std::string& subject) {
  log::Error("an event cannot be read; it is passed over", {{"subject", subject}});
  return absl::OkStatus();
}

absl::Status Follower::CatchUp() {
  const auto consumer = bus_.Consume(bus::kEventsStream, options_.durable, options_.filter);
  PEPEUNIT_ASSIGN_OR_RETURN(const bus::StreamState stream, bus_.GetStreamState(bus::kEventsStream));
  Fetched fetched;
  std::uint64_t acked = 0;
  for (std::int64_t moved_ms = MonotonicMs(); MonotonicMs() - moved_ms < kPatienceMs;) {
    const std::uint64_t before = acked;
    PEPEUNIT_ASSIGN_OR_RETURN(acked, consumer->AckedUpTo());
    if (acked >= stream.last_sequence) return absl::OkStatus();
    const auto came = Step(*consumer, std::chrono::milliseconds(20), &fetched);
    if (!came.ok()) {
      consumer->ReturnFetched();  // else nobody would have them before the bus delivers them again
      return came.status();
    }
    if (*came || acked > before) moved_ms = MonotonicMs();
  }
  return Unavailable("events that somebody else took are not applied yet");
}

void Follower::Start() {
  thread_ = std::thread([this] { Loop(); });
}

void Follower::Stop() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

bool Follower::stopping() const {
  std::lock_guard lock(mutex_);
  return stop_;
}

void Follower::Loop() {
  const auto consumer = bus_.Consume(bus::kEventsStream, options_.durable, options_.filter);
  Backoff backoff(std::chrono::milliseconds(200), std::chrono::milliseconds(3'000));
  bool prepared = options_.prepare == nullptr;
  Fetched fetched;
  while (!stopping()) {
    const absl::Status status =
        prepared ? Step(*consumer, std::chrono::milliseconds(500), &fetched).status() : options_.prepare();
    if (status.ok()) {
      prepared = true;
      backoff.Reset();
      continue;
    }
    if (stopping()) return;
    if (backoff.tries() == 0) log::Warning(options_.what_waits, {{"status", status}});
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, backoff.Next(), [this] { return stop_; });
  }
}

absl::StatusOr<bool> Follower::Step(bus::DurableConsumer& consumer, std::chrono::milliseconds wait, Fetched* fetched) {
  if (!fetched->any) {
    PEPEUNIT_ASSIGN_OR_RETURN(const auto messages, consumer.Fetch(options_.at_once, wait));
    if (messages.empty()) return false;
    fetched->any = true;
    for (const bus::Message& message : messages) {
      Received received{{}, message.subject, message.traceparent};
      if (received.event.ParseFromString(message.payload))
        fetched->events.push_back(std::move(received));
      else
        (void)PassOver(message.subject);
    }
  }
  PEPEUNIT_RETURN_IF_ERROR(apply_(fetched->events));
  PEPEUNIT_RETURN_IF_ERROR(consumer.AckFetched());
  *fetched = {};
  return true;
}

}  // namespace pepeunit::outbox
