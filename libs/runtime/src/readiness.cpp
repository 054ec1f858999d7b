#include "readiness.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "pepeunit/base/errors.h"
#include "pepeunit/base/log.h"

namespace pepeunit::runtime {
namespace {

constexpr std::chrono::milliseconds kWatchEvery(250);
constexpr std::chrono::seconds kLongestCheck(2);

}  // namespace

void Readiness::Add(std::string name, std::function<absl::Status()> check) {
  checks_.push_back({std::move(name), std::move(check)});
}

void Readiness::OnChange(std::function<void(bool)> listener) { listeners_.push_back(std::move(listener)); }

void Readiness::Start() {
  thread_ = std::thread([this] { Loop(); });
  watch_ = std::thread([this] { Watch(); });
}

void Readiness::Stop() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  if (watch_.joinable()) watch_.join();
}

void Readiness::Started() {
  {
    std::lock_guard lock(mutex_);
    started_ = true;
  }
  wake_.notify_all();
}

void Readiness::Drain() {
  {
    std::lock_guard lock(mutex_);
    draining_ = true;
  }
  Publish();
}

bool Readiness::ready() const {
  std::lock_guard lock(mutex_);
  return ready_;
}

std::string Readiness::Report() const {
  std::lock_guard lock(mutex_);
  nlohmann::ordered_json report = {{"ready", ready_}, {"checks", nlohmann::ordered_json::object()}};
  if (!started_) report["starting"] = true;
  if (draining_) report["draining"] = true;
  for (const Check& check : checks_) {
    report["checks"][check.name] = check.last.ok() ? std::string("ok") : std::string(check.last.message());
  }
  return report.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// A check that waits for something that hangs says nothing: then its last word does not hold any more.
void Readiness::Watch() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    wake_.wait_for(lock, kWatchEvery, [&] { return stop_; });
    const auto now = std::chrono::steady_clock::now();
    bool hangs = false;
    for (Check& check : checks_) {
      if (!check.began || now - *check.began < kLongestCheck || !check.last.ok()) continue;
      check.last = Unavailable("does not answer");
      hangs = true;
      log::Warning("dependency hangs", {{"dependency", check.name}});
    }
    if (!hangs) continue;
    lock.unlock();
    Publish();
    lock.lock();
  }
}

void Readiness::Loop() {
  bool known_start = false;
  for (;;) {
    for (Check& check : checks_) {
      {
        std::lock_guard lock(mutex_);
        check.began = std::chrono::steady_clock::now();
      }
      absl::Status now = check.run();
      std::lock_guard lock(mutex_);
      check.began.reset();
      if (now.ok() != check.last.ok()) {
        if (now.ok())
          log::Info("dependency answers", {{"dependency", check.name}});
        else
          log::Warning("dependency does not answer", {{"dependency", check.name}, {"status", now}});
      }
      check.last = std::move(now);
    }
    Publish();
    std::unique_lock lock(mutex_);
    // A start that is done shows at once.
    wake_.wait_for(lock, std::chrono::seconds(1), [&] { return stop_ || started_ != known_start; });
    known_start = started_;
    if (stop_) return;
  }
}

void Readiness::Publish() {
  std::lock_guard publishing(publishing_);
  bool now = false;
  {
    std::lock_guard lock(mutex_);
    now = started_ && !draining_ &&
          std::all_of(checks_.begin(), checks_.end(), [](const Check& c) { return c.last.ok(); });
    if (now == ready_) return;
    ready_ = now;
  }
  log::Info(now ? "ready" : "not ready");
  for (const auto& listener : listeners_) listener(now);
}

}  // namespace pepeunit::runtime
