#include "writer.h"

#include <algorithm>
#include <chrono>
#include <future>

#include "news.h"
#include "pepeunit/base/backoff.h"
#include "pepeunit/base/clock.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/base/log.h"

namespace pepeunit::state_logger {
namespace {

constexpr std::size_t kMostMessages = 5'000, kMostRows = 50'000;  // in a transaction
// Transactions of one partition begin at least so far apart: one message is stored at once, many share one. The more
// come, the longer it waits for more, for the newest values of a unit are written once for all of them.
constexpr std::int64_t kPaceMs = 10, kMostPaceMs = 50;
std::int64_t PaceAfter(std::size_t messages) {
  return std::min(kMostPaceMs, kPaceMs + static_cast<std::int64_t>(messages / 2));
}

}  // namespace

WriterMetrics WriterMetrics::In(prometheus::Registry& registry) {
  const auto counter = [&](const char* name, const char* help) {
    return &prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add({});
  };
  WriterMetrics m;
  m.rows = counter("pepeunit_log_rows_total", "Readings written to the history");
  m.batches = counter("pepeunit_log_batches_total", "Transactions that stored values");
  m.unreadable =
      counter("pepeunit_log_unreadable_total", "Messages or values that could not be read and were passed over");
  m.seconds = &prometheus::BuildHistogram()
                   .Name("pepeunit_log_batch_seconds")
                   .Help("Time to store a batch")
                   .Register(registry)
                   .Add({}, prometheus::Histogram::BucketBoundaries{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                                                    0.5, 1, 5});
  m.owned = &prometheus::BuildGauge()
                 .Name("pepeunit_log_partitions_owned")
                 .Help("Partitions that this replica writes")
                 .Register(registry)
                 .Add({});
  m.lag = &prometheus::BuildGauge()
               .Name("pepeunit_log_lag_messages")
               .Help("Positions of the stream VALUES that are not stored yet")
               .Register(registry);
  return m;
}

void WriterMetrics::SetLag(std::uint32_t partition, std::uint64_t messages) const {
  lag->Add({{"partition", std::to_string(partition)}}).Set(static_cast<double>(messages));
}

void WriterMetrics::ForgetLag(std::uint32_t partition) const {
  lag->Remove(&lag->Add({{"partition", std::to_string(partition)}}));
}

void Writer::Start() {
  thread_ = std::thread([this] { Loop(); });
}

void Writer::RequestStop() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
}

void Writer::Stop() {
  RequestStop();
  if (thread_.joinable()) thread_.join();
}

bool Writer::stopping() const {
  std::lock_guard lock(mutex_);
  return stop_;
}

void Writer::Pause(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, time, [this] { return stop_; });
}

void Writer::Loop() {
  Backoff backoff(std::chrono::milliseconds(100), std::chrono::milliseconds(2'000));
  Sleep sleep(after_sleep_);
  while (!stopping()) {
    const std::int64_t begin = MonotonicMs();
    const absl::Status status = Follow(sleep);
    if (stopping()) return;
    if (MonotonicMs() - begin > 10'000) backoff.Reset();  // it went well for a while
    log::Warning("values wait in the stream", {{"partition", partition_}, {"status", status}});
    Pause(backoff.Next());
  }
}

absl::Status Writer::Follow(Sleep& sleep) {
  bus::StreamState stream;
  const auto ask = [&]() -> absl::StatusOr<bus::StreamState> {
    PEPEUNIT_ASSIGN_OR_RETURN(stream, bus_.GetStreamState(bus::kValuesStream));
    return stream;
  };
  PEPEUNIT_ASSIGN_OR_RETURN(applied_, store_.Resume(partition_, ask));
  const auto reader = bus_.ReadStream(bus::kValuesStream, "values." + std::to_string(partition_) + ".>", applied_ + 1);
  const auto fetch = [&] { return reader->Fetch(kMostMessages, std::chrono::milliseconds(500)); };
  std::future<absl::StatusOr<std::vector<bus::Message>>> next;  // while those before are stored; waited for at the end
  while (!stopping()) {
    const std::int64_t begin = MonotonicMs();
    PEPEUNIT_ASSIGN_OR_RETURN(const auto messages, next.valid() ? next.get() : fetch());
    if (messages.size() == kMostMessages) next = std::async(std::launch::async, fetch);
    if (messages.empty()) {
      // Nothing comes either when the stream is another one now, or shorter: begin again, with Resume.
      PEPEUNIT_ASSIGN_OR_RETURN(const bus::StreamState now, bus_.GetStreamState(bus::kValuesStream));
      if (now.created_ns != stream.created_ns || now.last_sequence < applied_)
        return Unavailable("the stream was replaced or lost its end");
    }
    PEPEUNIT_RETURN_IF_ERROR(sleep.Check());
    // On any error the whole way begins again at the stored position, so a batch is never passed over.
    PEPEUNIT_RETURN_IF_ERROR(StoreAll(messages));
    const std::int64_t early_ms = PaceAfter(messages.size()) - (MonotonicMs() - begin);
    if (early_ms > 0 && messages.size() < kMostMessages) Pause(std::chrono::milliseconds(early_ms));
  }
  return absl::OkStatus();
}

absl::Status Writer::StoreAll(const std::vector<bus::Message>& messages) {
  std::size_t most = kMostMessages;
  for (std::size_t at = 0; at < messages.size() && !stopping();) {
    Batch batch;
    std::size_t end = at;
    while (end < messages.size() && end - at < most && batch.rows() < kMostRows) batch.Add(messages[end++]);
    absl::Status status = Store(batch);
    if (status.code() == absl::StatusCode::kInvalidArgument) {
      if (end - at > 1) {
        most = (end - at) / 2;
        continue;
      }
      log::Error("a message cannot be stored and is passed over",
                 {{"subject", messages[at].subject}, {"position", messages[at].stream_sequence}});
      Batch nothing;
      nothing.PassOver(messages[at]);
      status = Store(nothing);
      most = kMostMessages;
    }
    PEPEUNIT_RETURN_IF_ERROR(status);
    at = end;
  }
  return absl::OkStatus();
}

absl::Status Writer::Store(const Batch& batch) {
  const std::int64_t begin = MonotonicMs();
  PEPEUNIT_RETURN_IF_ERROR(
      store_.Apply(partition_, applied_, batch, [this](const Batch& kept) { return TellNews(bus_, kept); }));
  applied_ = batch.last_sequence();
  metrics_.seconds->Observe(static_cast<double>(MonotonicMs() - begin) / 1000.0);
  metrics_.batches->Increment();
  metrics_.rows->Increment(static_cast<double>(batch.readings().size()));
  if (batch.unreadable() > 0) {
    metrics_.unreadable->Increment(static_cast<double>(batch.unreadable()));
    log::Error("values could not be read and were passed over",
               {{"partition", partition_}, {"count", batch.unreadable()}});
  }
  return absl::OkStatus();
}

}  // namespace pepeunit::state_logger
