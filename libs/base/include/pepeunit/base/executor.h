#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

namespace pepeunit {

// A fixed set of threads with a bounded queue, for work that blocks (SQL, files, other services). Whose work it is may
// be told: then those whose work waits take turns, and one of them never has all threads, however slow his work is.
// Thread-safe.
class Executor {
 public:
  enum class Taken {
    kYes,
    kFull,   // the queue is, or draining began
    kShare,  // this party has as much here as it may
  };
  struct Task {
    std::function<void()> run;
    std::function<void()> after{};  // called next, when the task counts no more: answers go out here
    std::string party{};            // empty: ours, without bounds
  };

  // `share`: tasks of one party that wait or run.
  Executor(std::size_t threads, std::size_t queue_limit, std::size_t share = static_cast<std::size_t>(-1));
  ~Executor();  // Drain()
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // Never waits: answer RESOURCE_EXHAUSTED when it was not taken.
  [[nodiscard]] Taken Run(Task task);
  [[nodiscard]] bool TryRun(std::function<void()> run) { return Run({.run = std::move(run)}) == Taken::kYes; }

  // Takes nothing new, finishes what was taken, joins the threads. Idempotent.
  void Drain();

  std::size_t queued() const;

 private:
  struct Party {
    std::deque<Task> waiting;
    std::size_t running = 0;
  };

  void Work();
  // The next one of whoever has the turn and a thread left; nothing while there is none. Under the lock.
  bool Next(Task* task);
  void Ended(const std::string& party);

  const std::size_t queue_limit_, share_, most_running_;
  mutable std::mutex mutex_;
  std::condition_variable ready_;
  std::unordered_map<std::string, Party> parties_;  // those with something here
  std::deque<std::string> turns_;                   // those with something that waits, each once
  std::size_t queued_ = 0;
  bool draining_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace pepeunit
