#include "housekeeping.h"

#include "pepeunit/base/log.h"

namespace pepeunit::graph_registry {

void Housekeeping::Start() {
  thread_ = std::thread([this] { Loop(); });
}

void Housekeeping::Stop() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Housekeeping::Loop() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    lock.unlock();
    bool more = false;
    for (const Task& task : tasks_) {
      const auto forgotten = task.forget();
      if (!forgotten.ok()) {
        log::Warning("what is old could not be deleted", {{"what", task.what}, {"status", forgotten.status()}});
      } else if (*forgotten > 0) {
        log::Info("what is old is deleted", {{"what", task.what}, {"count", *forgotten}});
        more = true;
      }
    }
    lock.lock();
    wake_.wait_for(lock, more ? std::chrono::milliseconds(100) : period_, [this] { return stop_; });
  }
}

}  // namespace pepeunit::graph_registry
