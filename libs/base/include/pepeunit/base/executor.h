#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace pepeunit {

// A fixed set of threads with a bounded queue, for work that blocks (SQL, files, other services). Thread-safe.
class Executor {
 public:
  Executor(std::size_t threads, std::size_t queue_limit);
  ~Executor();  // Drain()
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // False when the queue is full or draining began: answer RESOURCE_EXHAUSTED, never wait.
  [[nodiscard]] bool TryRun(std::function<void()> task);

  // Takes nothing new, finishes what was taken, joins the threads. Idempotent.
  void Drain();

  std::size_t queued() const;

 private:
  void Work();

  const std::size_t queue_limit_;
  mutable std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<std::function<void()>> queue_;
  bool draining_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace pepeunit
