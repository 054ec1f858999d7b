#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "pepeunit/bus/bus.h"
#include "sleep.h"
#include "store.h"

namespace pepeunit::state_logger {

struct WriterMetrics {
  prometheus::Counter* rows = nullptr;
  prometheus::Counter* batches = nullptr;
  prometheus::Counter* unreadable = nullptr;
  prometheus::Histogram* seconds = nullptr;
  prometheus::Gauge* owned = nullptr;
  prometheus::Family<prometheus::Gauge>* lag = nullptr;  // by partition

  static WriterMetrics In(prometheus::Registry& registry);
  void SetLag(std::uint32_t partition, std::uint64_t messages) const;
  // Another replica measures it from now on.
  void ForgetLag(std::uint32_t partition) const;
};

// Moves one partition of the stream into the tables, batch by batch, on a thread of its own. A batch that fails is
// tried again with backoff, and nothing behind it is touched before it is stored.
class Writer {
 public:
  Writer(std::uint32_t partition, ValueStore& store, bus::Bus& bus, WriterMetrics metrics, AfterSleep after_sleep = {})
      : partition_(partition), store_(store), bus_(bus), metrics_(metrics), after_sleep_(std::move(after_sleep)) {}
  ~Writer() { Stop(); }
  void Start();
  // Does not wait.
  void RequestStop();
  // Waits for the batch in flight.
  void Stop();
  std::uint64_t applied() const { return applied_; }

  // Stores messages that follow each other, in as many transactions as their size asks for. A message that PostgreSQL
  // will never take is found by halving, counted and passed over. For Follow, and for tests.
  absl::Status StoreAll(const std::vector<bus::Message>& messages);

 private:
  void Loop();
  // From the stored position until something fails or Stop.
  absl::Status Follow(Sleep& sleep);
  absl::Status Store(const Batch& batch);
  bool stopping() const;
  void Pause(std::chrono::milliseconds time);

  const std::uint32_t partition_;
  ValueStore& store_;
  bus::Bus& bus_;
  WriterMetrics metrics_;
  const AfterSleep after_sleep_;
  std::atomic<std::uint64_t> applied_ = 0;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace pepeunit::state_logger
