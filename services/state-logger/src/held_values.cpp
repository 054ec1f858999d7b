#include "held_values.h"

#include <chrono>

#include "news.h"
#include "pepeunit/base/backoff.h"
#include "pepeunit/base/clock.h"
#include "pepeunit/base/log.h"

namespace pepeunit::state_logger {

void HeldValues::Start() {
  thread_ = std::thread([this] { Loop(); });
}

void HeldValues::Stop() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void HeldValues::Loop() {
  Backoff backoff(std::chrono::milliseconds(500), std::chrono::milliseconds(5'000));
  Sleep sleep(after_sleep_);
  for (;;) {
    const auto release = [&]() -> absl::StatusOr<bool> {
      PEPEUNIT_RETURN_IF_ERROR(sleep.Check());
      return store_.ReleaseHeld(NowMs(), [this](const Batch& released) { return TellNews(bus_, released); });
    };
    const auto waiting = release();
    std::chrono::milliseconds pause(500);
    if (!waiting.ok()) {
      log::Warning("values wait although their time has come", {{"status", waiting.status()}});
      pause = backoff.Next();
    } else {
      backoff.Reset();
      if (*waiting) pause = std::chrono::milliseconds(100);
    }
    std::unique_lock lock(mutex_);
    if (wake_.wait_for(lock, pause, [this] { return stop_; })) return;
  }
}

}  // namespace pepeunit::state_logger
