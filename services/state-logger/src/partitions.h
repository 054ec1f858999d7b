#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <pqxx/pqxx>
#include <thread>

#include "pepeunit/bus/bus.h"
#include "pepeunit/postgres/pool.h"
#include "store.h"
#include "writer.h"

namespace pepeunit::state_logger {

struct PartitionSettings {
  std::uint32_t count = 1;
  std::int64_t values_max_bytes = 1LL << 30;
};

// Shares the partitions among the replicas: each holds an advisory lock of PostgreSQL for each of its partitions, on a
// session of its own, and takes its share of what is free. A lost session gives all of them up. The locks only keep
// replicas from working against each other; what keeps values exactly once is the position (see ValueStore::Apply).
class Partitions {
 public:
  Partitions(postgres::Pool& pool, ValueStore& store, bus::Bus& bus, WriterMetrics metrics, PartitionSettings settings);
  ~Partitions() { Stop(); }
  void Start();
  // Finishes the batches in flight.
  void Stop();
  std::size_t owned() const;

 private:
  void Loop();
  absl::Status Balance();
  void ReleaseAll();
  void PurgeApplied();

  postgres::Pool& pool_;
  ValueStore& store_;
  bus::Bus& bus_;
  WriterMetrics metrics_;
  PartitionSettings settings_;
  const Uuid member_ = Uuid::New();
  std::unique_ptr<pqxx::connection> locks_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::map<std::uint32_t, std::unique_ptr<Writer>> writers_;
  std::thread thread_;
};

}  // namespace pepeunit::state_logger
