#include "releases.h"

#include <chrono>
#include <utility>

#include "pepeunit/base/errors.h"
#include "pepeunit/base/log.h"

namespace pepeunit::archive {
namespace {

constexpr std::chrono::seconds kLongestReading{60};

}  // namespace

Releases::Held Releases::FindKept(const Key& key) {
  const auto found = kept_.find(key);
  if (found == kept_.end()) return nullptr;
  order_.splice(order_.begin(), order_, found->second.second);
  return found->second.first;
}

void Releases::Keep(const Key& key, Held release) {
  if (release->bytes > limits_.cache_bytes) return;
  bytes_ += release->bytes;
  order_.push_front(key);
  kept_[key] = {std::move(release), order_.begin()};
  while (bytes_ > limits_.cache_bytes) {
    const auto last = kept_.find(order_.back());
    bytes_ -= last->second.first->bytes;
    kept_.erase(last);
    order_.pop_back();
  }
}

absl::StatusOr<Releases::Held> Releases::Get(const rpc::Context& call, const std::string& repo_unit,
                                             const std::string& commit) {
  const Key key = repo_unit + '\n' + commit;
  std::unique_lock lock(mutex_);
  std::shared_ptr<Reading> reading;
  for (;;) {
    if (Held kept = FindKept(key)) return kept;
    if (const auto found = readings_.find(key); found != readings_.end()) {
      reading = found->second;
      if (!changed_.wait_until(lock, call.deadline, [&] { return reading->done; })) break;
      return reading->result;
    }
    if (static_cast<int>(readings_.size()) < limits_.readings) {
      reading = readings_[key] = std::make_shared<Reading>();
      lock.unlock();
      auto result = Read(repo_unit, commit);
      lock.lock();
      reading->result = result;
      reading->done = true;
      readings_.erase(key);
      if (result.ok()) Keep(key, *result);
      changed_.notify_all();
      return result;
    }
    if (changed_.wait_until(lock, call.deadline) == std::cv_status::timeout) break;
  }
  return Error(absl::StatusCode::kDeadlineExceeded, "UNAVAILABLE", "The version is still being read; ask again.");
}

// On behalf of all who wait, so not with the time of one of them.
absl::StatusOr<Releases::Held> Releases::Read(const std::string& repo_unit, const std::string& commit) {
  const rpc::Context own{.caller = rpc::Caller::Service(),
                         .deadline = std::chrono::system_clock::now() + kLongestReading,
                         .cancelled = nullptr};
  Package package;
  package.repo_unit_id = repo_unit;
  package.commit = commit;
  ReleaseBuilder builder(commit, limits_.release);
  PEPEUNIT_RETURN_IF_ERROR(sources_.ReadTree(own, package, [&](const Piece& piece) { return builder.Take(piece); }));
  PEPEUNIT_ASSIGN_OR_RETURN(Release release, builder.Finish());
  return std::make_shared<const Release>(std::move(release));
}

}  // namespace pepeunit::archive
