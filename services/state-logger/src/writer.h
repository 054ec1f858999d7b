#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <atomic>
#include <thread>

#include "pepeunit/bus/bus.h"
#include "store.h"

namespace pepeunit::state_logger {

struct WriterMetrics {
  prometheus::Counter* rows = nullptr;
  prometheus::Counter* batches = nullptr;
  prometheus::Counter* unreadable = nullptr;
  prometheus::Histogram* seconds = nullptr;
  prometheus::Gauge* owned = nullptr;

  static WriterMetrics In(prometheus::Registry& registry);
};

// Moves one partition of the stream into the tables, batch by batch, on a thread of its own. A batch that fails is
// tried again, and nothing behind it is touched before it is stored.
class Writer {
 public:
  Writer(std::uint32_t partition, ValueStore& store, bus::Bus& bus, WriterMetrics metrics)
      : partition_(partition), store_(store), bus_(bus), metrics_(metrics) {}
  ~Writer() { Stop(); }
  void Start();
  void Stop();

 private:
  void Loop();
  // From the stored position until something fails or Stop.
  absl::Status Follow();
  absl::Status Notify(const Batch& batch);

  const std::uint32_t partition_;
  ValueStore& store_;
  bus::Bus& bus_;
  WriterMetrics metrics_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace pepeunit::state_logger
