#include "pepeunit/runtime/turn_thread.h"

#include "pepeunit/base/backoff.h"
#include "pepeunit/base/log.h"

namespace pepeunit::runtime {

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
  Backoff backoff(std::chrono::milliseconds(500), std::chrono::seconds(5));
  std::unique_lock lock(mutex_);
  while (!stop_) {
    kicked_ = false;
    lock.unlock();
    const auto next = take_();
    if (next.ok()) {
      backoff.Reset();
    } else {
      log::Warning("what is due waits", {{"what", what_}, {"status", next.status()}});
    }
    const std::chrono::milliseconds pause = next.ok() ? *next : backoff.Next();
    lock.lock();
    if (pause.count() > 0) wake_.wait_for(lock, pause, [this] { return stop_ || kicked_; });
  }
}

absl::StatusOr<std::chrono::milliseconds> UntilNext(const absl::StatusOr<bool>& taken, std::chrono::milliseconds poll) {
  if (!taken.ok()) return taken.status();
  return *taken ? std::chrono::milliseconds(0) : poll;
}

}  // namespace pepeunit::runtime
