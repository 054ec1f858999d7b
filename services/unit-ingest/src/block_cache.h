#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

namespace pepeunit::unit_ingest {

// Pieces of files by key, at most so many bytes of them; forgets what was used least recently. What has a key never
// changes. Thread-safe.
class BlockCache {
 public:
  using Block = std::shared_ptr<const std::string>;

  explicit BlockCache(std::size_t most_bytes) : most_bytes_(most_bytes) {}

  // Null when it is not there.
  Block Find(const std::string& key) {
    std::lock_guard lock(mutex_);
    const auto found = blocks_.find(key);
    if (found == blocks_.end()) return nullptr;
    order_.splice(order_.begin(), order_, found->second.place);
    return found->second.block;
  }

  void Put(const std::string& key, Block block) {
    std::lock_guard lock(mutex_);
    if (block->size() > most_bytes_ || blocks_.contains(key)) return;
    bytes_ += block->size();
    order_.push_front(key);
    blocks_.emplace(key, Held{std::move(block), order_.begin()});
    while (bytes_ > most_bytes_) {
      const auto last = blocks_.find(order_.back());
      bytes_ -= last->second.block->size();
      blocks_.erase(last);
      order_.pop_back();
    }
  }

 private:
  struct Held {
    Block block;
    std::list<std::string>::iterator place;
  };
  const std::size_t most_bytes_;
  std::mutex mutex_;
  std::size_t bytes_ = 0;
  std::list<std::string> order_;
  std::unordered_map<std::string, Held> blocks_;
};

}  // namespace pepeunit::unit_ingest
