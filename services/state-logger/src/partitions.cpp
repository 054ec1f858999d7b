#include "partitions.h"

#include <algorithm>
#include <chrono>

#include "pepeunit/base/clock.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/base/log.h"

namespace pepeunit::state_logger {
namespace {

constexpr std::int64_t kLagEveryMs = 5'000, kPurgeEveryMs = 5'000, kTombstonesEveryMs = 3'600'000;

std::string SubjectsOf(std::uint32_t partition) { return "values." + std::to_string(partition) + ".>"; }

}  // namespace

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
  std::int64_t lag_at = 0, purge_at = 0, tombstones_at = 0;
  const auto due = [](std::int64_t& at, std::int64_t every_ms) {
    if (MonotonicMs() < at) return false;
    at = MonotonicMs() + every_ms;
    return true;
  };
  for (;;) {
    if (const absl::Status status = Balance(); !status.ok()) {
      log::Warning("partitions are given up", {{"status", status}});
      ReleaseAll();
    }
    metrics_.owned->Set(static_cast<double>(owned()));
    if (due(lag_at, kLagEveryMs)) MeasureLag();
    if (due(purge_at, kPurgeEveryMs)) PurgeApplied();
    if (due(tombstones_at, kTombstonesEveryMs)) (void)store_.ForgetOldTombstones();  // tried again in an hour
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, std::chrono::seconds(1), [this] { return stop_; });
    if (stop_) break;
  }
  ReleaseAll();
}

absl::Status Partitions::Balance() {
  PEPEUNIT_ASSIGN_OR_RETURN(const std::uint32_t members, locks_.Members());
  const std::uint32_t share = (settings_.count + std::max(members, 1u) - 1) / std::max(members, 1u);
  while (writers_.size() > share) PEPEUNIT_RETURN_IF_ERROR(HandOver(writers_.rbegin()->first));
  for (std::uint32_t p = 0; p < settings_.count && writers_.size() < share; ++p) {
    if (writers_.count(p) != 0) continue;
    PEPEUNIT_ASSIGN_OR_RETURN(const bool taken, locks_.TryLock(p));
    if (!taken) continue;
    log::Info("partition taken", {{"partition", p}});
    auto writer = std::make_unique<Writer>(p, store_, bus_, metrics_, after_sleep_);
    writer->Start();
    std::lock_guard lock(mutex_);
    writers_.emplace(p, std::move(writer));
  }
  return absl::OkStatus();
}

// The writer first, the lock then: the next owner finds nothing in flight.
absl::Status Partitions::HandOver(std::uint32_t partition) {
  writers_.at(partition)->Stop();
  {
    std::lock_guard lock(mutex_);
    writers_.erase(partition);
  }
  metrics_.ForgetLag(partition);
  log::Info("partition handed over", {{"partition", partition}});
  return locks_.Unlock(partition);
}

void Partitions::ReleaseAll() {
  for (auto& [partition, writer] : writers_) writer->RequestStop();
  for (auto& [partition, writer] : writers_) {
    writer->Stop();
    metrics_.ForgetLag(partition);
  }
  {
    std::lock_guard lock(mutex_);
    writers_.clear();
  }
  locks_.Leave();
}

void Partitions::MeasureLag() {
  for (const auto& [partition, writer] : writers_) {
    const auto last = bus_.GetLastMessage(bus::kValuesStream, SubjectsOf(partition));
    if (!last.ok()) return;
    const std::uint64_t newest = *last ? (*last)->stream_sequence : 0, applied = writer->applied();
    metrics_.SetLag(partition, newest > applied ? newest - applied : 0);
  }
}

// What is applied is in the tables; it stays in the stream for a while, because unit-ingest compares with the newest
// message of each unit, and goes when the stream is half full.
void Partitions::PurgeApplied() {
  if (writers_.count(0) == 0) return;  // one replica does it
  // The state first: what comes after it is above `upto`, so it is safe whatever its partition.
  const auto state = bus_.GetStreamState(bus::kValuesStream);
  if (!state.ok() || static_cast<std::int64_t>(state->bytes) < settings_.values_max_bytes / 2) return;
  std::uint64_t upto = state->last_sequence;
  for (std::uint32_t p = 0; p < settings_.count; ++p) {
    const auto last = bus_.GetLastMessage(bus::kValuesStream, SubjectsOf(p));
    const auto applied = store_.Applied(p);
    if (!last.ok() || !applied.ok()) return;
    if (*last && *applied < (*last)->stream_sequence) upto = std::min(upto, *applied);
  }
  if (upto < state->first_sequence) return;
  const absl::Status status = bus_.PurgeUpTo(bus::kValuesStream, upto);
  log::Info("applied values leave the stream", {{"up_to", upto}, {"status", status}});
}

}  // namespace pepeunit::state_logger
