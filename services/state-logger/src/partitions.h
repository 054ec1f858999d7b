#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "pepeunit/bus/bus.h"
#include "store.h"
#include "writer.h"

namespace pepeunit::state_logger {

struct PartitionSettings {
  std::uint32_t count = 1;
  std::int64_t values_max_bytes = 1LL << 30;
};

// Shares the partitions among the replicas: each takes its share of what is free, and hands over what is more than its
// share when another joins. A lost session gives all of them up. Looks once a second, on a thread of its own.
class Partitions {
 public:
  Partitions(ValueStore& store, PartitionLocks& locks, bus::Bus& bus, WriterMetrics metrics, PartitionSettings settings,
             AfterSleep after_sleep = {})
      : store_(store),
        locks_(locks),
        bus_(bus),
        metrics_(metrics),
        settings_(settings),
        after_sleep_(std::move(after_sleep)) {}
  ~Partitions() { Stop(); }
  void Start();
  // Finishes the batches in flight.
  void Stop();
  // For tests and metrics. Thread-safe.
  std::size_t owned() const;

 private:
  void Loop();
  absl::Status Balance();
  absl::Status HandOver(std::uint32_t partition);
  void ReleaseAll();
  void MeasureLag();
  void PurgeApplied();

  ValueStore& store_;
  PartitionLocks& locks_;
  bus::Bus& bus_;
  WriterMetrics metrics_;
  PartitionSettings settings_;
  const AfterSleep after_sleep_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::map<std::uint32_t, std::unique_ptr<Writer>> writers_;  // changed by the thread only, under the mutex
  std::thread thread_;
};

}  // namespace pepeunit::state_logger
