#include "partitions.h"

#include <algorithm>
#include <chrono>

#include "pepeunit/base/clock.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/base/log.h"

namespace pepeunit::state_logger {
namespace {

constexpr int kLockClass = 0x50455045;  // "PEPE": the first key of our advisory locks
constexpr std::int64_t kPurgeEveryMs = 10'000, kTombstonesEveryMs = 3'600'000;

}  // namespace

Partitions::Partitions(postgres::Pool& pool, ValueStore& store, bus::Bus& bus, WriterMetrics metrics, PartitionSettings settings)
    : pool_(pool), store_(store), bus_(bus), metrics_(metrics), settings_(settings) {}

void Partitions::Start() {
  thread_ = std::thread([this] { Loop(); });
}

void Partitions::Stop() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

std::size_t Partitions::owned() const {
  std::lock_guard lock(mutex_);
  return writers_.size();
}

void Partitions::Loop() {
  std::int64_t purge_at = 0, tombstones_at = 0;
  for (;;) {
    if (const absl::Status status = Balance(); !status.ok()) {
      log::Warning("partitions are given up", {{"status", status}});
      ReleaseAll();
    }
    metrics_.owned->Set(static_cast<double>(owned()));
    if (MonotonicMs() >= purge_at) {
      PurgeApplied();
      purge_at = MonotonicMs() + kPurgeEveryMs;
    }
    if (MonotonicMs() >= tombstones_at) {
      (void)store_.ForgetOldTombstones();
      tombstones_at = MonotonicMs() + kTombstonesEveryMs;
    }
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, std::chrono::seconds(1), [this] { return stop_; });
    if (stop_) break;
  }
  ReleaseAll();
  (void)store_.Leave(member_);
}

absl::Status Partitions::Balance() {
  PEPEUNIT_ASSIGN_OR_RETURN(const int members, store_.Heartbeat(member_));
  if (!locks_) {
    absl::Status status;
    locks_ = pool_.Connect(&status);
    if (!locks_) return status;
  }
  const auto share = (settings_.count + static_cast<std::uint32_t>(std::max(members, 1)) - 1) / static_cast<std::uint32_t>(std::max(members, 1));
  try {
    pqxx::nontransaction tx(*locks_);
    tx.exec("SELECT 1");  // a dead session has lost its locks
    for (std::uint32_t p = 0; p < settings_.count && owned() < share; ++p) {
      if (writers_.count(p) != 0) continue;
      const auto got = tx.exec_params1("SELECT pg_try_advisory_lock($1, $2)", kLockClass, p);
      if (!got[0].as<bool>()) continue;
      log::Info("partition taken", {{"partition", p}});
      auto writer = std::make_unique<Writer>(p, store_, bus_, metrics_);
      writer->Start();
      std::lock_guard lock(mutex_);
      writers_.emplace(p, std::move(writer));
    }
    while (owned() > share) {
      const auto last = std::prev(writers_.end());
      const std::uint32_t p = last->first;
      last->second->Stop();
      {
        std::lock_guard lock(mutex_);
        writers_.erase(last);
      }
      tx.exec_params("SELECT pg_advisory_unlock($1, $2)", kLockClass, p);
      log::Info("partition handed over", {{"partition", p}});
    }
  } catch (...) {
    return postgres::FromException("partition locks");
  }
  return absl::OkStatus();
}

void Partitions::ReleaseAll() {
  for (auto& [partition, writer] : writers_) writer->Stop();
  {
    std::lock_guard lock(mutex_);
    writers_.clear();
  }
  locks_.reset();  // ends the session, and with it the locks
}

// What is applied is in the tables; it stays in the stream for a while, because unit-ingest compares with the newest
// message of each unit, and goes when the stream is half full.
void Partitions::PurgeApplied() {
  if (writers_.count(0) == 0) return;  // one replica does it
  const auto state = bus_.GetStreamState(bus::kValuesStream);
  if (!state.ok() || static_cast<std::int64_t>(state->bytes) < settings_.values_max_bytes / 2) return;
  std::uint64_t upto = state->last_sequence;
  for (std::uint32_t p = 0; p < settings_.count; ++p) {
    const auto last = bus_.GetLastMessage(bus::kValuesStream, "values." + std::to_string(p) + ".>");
    const auto applied = store_.Applied(p);
    if (!last.ok() || !applied.ok()) return;
    if (*last && *applied < (*last)->stream_sequence) upto = std::min(upto, *applied);
  }
  if (upto < state->first_sequence) return;
  const absl::Status status = bus_.PurgeUpTo(bus::kValuesStream, upto);
  log::Info("applied values leave the stream", {{"up_to", upto}, {"status", status}});
}

}  // namespace pepeunit::state_logger
