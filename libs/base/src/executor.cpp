#include "pepeunit/base/executor.h"

#include <algorithm>
#include <utility>

namespace pepeunit {

Executor::Executor(std::size_t threads, std::size_t queue_limit, std::size_t share)
    : queue_limit_(queue_limit), share_(share), most_running_(std::max<std::size_t>(2, threads) - 1) {
  threads_.reserve(threads);
  for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { Work(); });
}

Executor::~Executor() { Drain(); }

Executor::Taken Executor::Run(Task task) {
  {
    std::lock_guard lock(mutex_);
    if (draining_ || queued_ >= queue_limit_) return Taken::kFull;
    const auto known = parties_.find(task.party);
    if (known != parties_.end() && !task.party.empty() &&
        known->second.waiting.size() + known->second.running >= share_)
      return Taken::kShare;
    Party& party = known != parties_.end() ? known->second : parties_[task.party];
    if (party.waiting.empty()) turns_.push_back(task.party);
    party.waiting.push_back(std::move(task));
    ++queued_;
  }
  ready_.notify_one();
  return Taken::kYes;
}

void Executor::Drain() {
  std::vector<std::thread> threads;
  {
    std::lock_guard lock(mutex_);
    draining_ = true;
    threads.swap(threads_);
  }
  ready_.notify_all();
  for (auto& thread : threads) thread.join();
}

std::size_t Executor::queued() const {
  std::lock_guard lock(mutex_);
  return queued_;
}

bool Executor::Next(Task* task) {
  for (auto turn = turns_.begin(); turn != turns_.end(); ++turn) {
    Party& party = parties_.at(*turn);
    if (!turn->empty() && party.running >= most_running_) continue;
    *task = std::move(party.waiting.front());
    party.waiting.pop_front();
    ++party.running;
    --queued_;
    turns_.erase(turn);
    if (!party.waiting.empty()) turns_.push_back(task->party);
    if (draining_ && queued_ == 0) ready_.notify_all();  // those who could take none of the last ones
    return true;
  }
  return false;
}

void Executor::Ended(const std::string& name) {
  std::lock_guard lock(mutex_);
  const auto party = parties_.find(name);
  if (--party->second.running == 0 && party->second.waiting.empty()) parties_.erase(party);
}

void Executor::Work() {
  for (;;) {
    Task task;
    {
      std::unique_lock lock(mutex_);
      bool got = false;
      ready_.wait(lock, [&] { return (got = Next(&task)) || (draining_ && queued_ == 0); });
      if (!got) return;
    }
    task.run();
    Ended(task.party);  // what waited for that is looked at by this thread next, so nobody has to be woken
    if (task.after) task.after();
  }
}

}  // namespace pepeunit
