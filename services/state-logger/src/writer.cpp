#include "writer.h"

#include <chrono>

#include "pepeunit/base/backoff.h"
#include "pepeunit/base/clock.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/base/log.h"

namespace pepeunit::state_logger {
namespace {

constexpr std::size_t kMostMessages = 2'000;  // in a transaction

}  // namespace

WriterMetrics WriterMetrics::In(prometheus::Registry& registry) {
  const auto counter = [&](const char* name, const char* help) {
    return &prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add({});
  };
  WriterMetrics m;
  m.rows = counter("pepeunit_log_rows_total", "Readings written to the history");
  m.batches = counter("pepeunit_log_batches_total", "Transactions that stored values");
  m.unreadable = counter("pepeunit_log_unreadable_total", "Messages that could not be read and were passed over");
  m.seconds = &prometheus::BuildHistogram().Name("pepeunit_log_batch_seconds").Help("Time to store a batch").Register(registry)
                   .Add({}, prometheus::Histogram::BucketBoundaries{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5});
  m.owned = &prometheus::BuildGauge().Name("pepeunit_log_partitions_owned").Help("Partitions that this replica writes").Register(registry).Add({});
  return m;
}

void Writer::Start() {
  thread_ = std::thread([this] { Loop(); });
}

void Writer::Stop() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

void Writer::Loop() {
  Backoff backoff(std::chrono::milliseconds(100), std::chrono::milliseconds(2'000));
  while (!stop_) {
    const std::int64_t begin = MonotonicMs();
    const absl::Status status = Follow();
    if (stop_) return;
    if (MonotonicMs() - begin > 10'000) backoff.Reset();  // it went well for a while
    log::Warning("values wait in the stream", {{"partition", partition_}, {"status", status}});
    std::this_thread::sleep_for(backoff.Next());
  }
}

absl::Status Writer::Follow() {
  PEPEUNIT_ASSIGN_OR_RETURN(std::uint64_t applied, store_.Applied(partition_));
  const auto reader = bus_.ReadStream(bus::kValuesStream, "values." + std::to_string(partition_) + ".>", applied + 1);
  while (!stop_) {
    PEPEUNIT_ASSIGN_OR_RETURN(const auto messages, reader->Fetch(kMostMessages, std::chrono::milliseconds(500)));
    if (messages.empty()) continue;
    Batch batch;
    for (const auto& message : messages) batch.Add(message);
    const std::int64_t begin = MonotonicMs();
    // On any error the whole way begins again at the stored position, so a batch is never passed over.
    PEPEUNIT_RETURN_IF_ERROR(store_.Apply(partition_, applied, batch, [this](const Batch& kept) { return Notify(kept); }));
    applied = batch.last_sequence();
    metrics_.seconds->Observe(static_cast<double>(MonotonicMs() - begin) / 1000.0);
    metrics_.batches->Increment();
    metrics_.rows->Increment(static_cast<double>(batch.readings().size()));
    if (batch.unreadable() > 0) {
      metrics_.unreadable->Increment(static_cast<double>(batch.unreadable()));
      log::Error("values could not be read and were passed over", {{"partition", partition_}, {"count", batch.unreadable()}});
    }
  }
  return absl::OkStatus();
}

// Before the commit: a crash after it could not tell any more, and one before it tells again.
absl::Status Writer::Notify(const Batch& batch) {
  bool any = false;
  for (const auto& [id, row] : batch.current()) {
    if (!row.input) continue;
    bus::v1::InputChanged changed;
    changed.set_unit_id(row.unit.ToBytes());
    changed.set_input_id(id.ToBytes());
    *changed.mutable_value() = row.value;
    changed.set_time_ms(row.time_ms);
    changed.set_stream_sequence(row.stream_seq);
    PEPEUNIT_RETURN_IF_ERROR(bus_.PublishCore("inputs." + row.unit.ToString(), changed.SerializeAsString()));
    any = true;
  }
  return any ? bus_.Flush(std::chrono::seconds(2)) : absl::OkStatus();
}

}  // namespace pepeunit::state_logger
