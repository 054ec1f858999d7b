#include "turn_thread.h"

#include "pepeunit/base/log.h"

namespace pepeunit::graph_registry {
namespace {

constexpr std::chrono::seconds kPoll{1};

}  // namespace

void TurnThread::Start() {
  thread_ = std::thread([this] { Loop(); });
}

void TurnThread::Stop() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void TurnThread::Kick() {
  {
    std::lock_guard lock(mutex_);
    kicked_ = true;
  }
  wake_.notify_all();
}

void TurnThread::Loop() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    kicked_ = false;
    lock.unlock();
    const auto taken = take_();
    if (!taken.ok()) log::Warning("what is due cannot be read", {{"what", what_}, {"status", taken.status()}});
    lock.lock();
    if (taken.ok() && *taken) continue;
    wake_.wait_for(lock, kPoll, [this] { return stop_ || kicked_; });
  }
}

}  // namespace pepeunit::graph_registry
