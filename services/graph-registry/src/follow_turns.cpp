#include "follow_turns.h"

#include "pepeunit/base/log.h"

namespace pepeunit::graph_registry {
namespace {

constexpr int kAtOnce = 20;  // units of one turn, each a transaction
constexpr std::chrono::seconds kPoll{1};
constexpr std::chrono::milliseconds kUntilAgain{2'000};

}  // namespace

void FollowTurns::Start() {
  thread_ = std::thread([this] { Loop(); });
}

void FollowTurns::Stop() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void FollowTurns::Kick() {
  {
    std::lock_guard lock(mutex_);
    kicked_ = true;
  }
  wake_.notify_all();
}

absl::StatusOr<bool> FollowTurns::Take() {
  PEPEUNIT_ASSIGN_OR_RETURN(const auto turn, store_.TakeFollowTurn());
  if (!turn) return false;
  const auto after = units_.Follow(turn->repo_unit, turn->after, kAtOnce);
  if (!after.ok()) {
    log::Warning("units that follow wait", {{"repo_unit", turn->repo_unit.ToString()}, {"status", after.status()}});
    PEPEUNIT_RETURN_IF_ERROR(store_.EndFollowTurn(*turn, turn->after, kUntilAgain));
    return true;
  }
  PEPEUNIT_RETURN_IF_ERROR(store_.EndFollowTurn(*turn, *after, std::chrono::milliseconds(0)));
  return true;
}

void FollowTurns::Loop() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    kicked_ = false;
    lock.unlock();
    const auto taken = Take();
    if (!taken.ok()) log::Warning("what units have to follow cannot be read", {{"status", taken.status()}});
    lock.lock();
    if (taken.ok() && *taken) continue;
    wake_.wait_for(lock, kPoll, [this] { return stop_ || kicked_; });
  }
}

}  // namespace pepeunit::graph_registry
