#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "unit_entry.h"

namespace pepeunit::unit_ingest {

// A bounded map that forgets what was used least recently. Thread-safe, in shards.
template <typename Key, typename Value>
class LruCache {
 public:
  explicit LruCache(std::size_t capacity) : per_shard_(std::max<std::size_t>(1, capacity / kShards)) {}

  std::optional<Value> Find(const Key& key) {
    Shard& shard = ShardOf(key);
    std::lock_guard lock(shard.mutex);
    const auto found = shard.map.find(key);
    if (found == shard.map.end()) return std::nullopt;
    shard.order.splice(shard.order.begin(), shard.order, found->second.second);
    return found->second.first;
  }

  // What is there, or what `make` makes.
  template <typename Make>
  Value FindOrMake(const Key& key, Make make) {
    Shard& shard = ShardOf(key);
    std::lock_guard lock(shard.mutex);
    const auto found = shard.map.find(key);
    if (found != shard.map.end()) {
      shard.order.splice(shard.order.begin(), shard.order, found->second.second);
      return found->second.first;
    }
    if (shard.map.size() >= per_shard_) {
      shard.map.erase(shard.order.back());
      shard.order.pop_back();
    }
    shard.order.push_front(key);
    return shard.map.emplace(key, std::pair(make(), shard.order.begin())).first->second.first;
  }

  void Put(const Key& key, const Value& value) {
    FindOrMake(key, [&] { return value; });
  }

  template <typename Each>
  void ForEach(Each each) {
    for (Shard& shard : shards_) {
      std::lock_guard lock(shard.mutex);
      for (auto& [key, entry] : shard.map) each(entry.first);
    }
  }

  void Clear() {
    for (Shard& shard : shards_) {
      std::lock_guard lock(shard.mutex);
      shard.map.clear();
      shard.order.clear();
    }
  }

 private:
  static constexpr std::size_t kShards = 16;
  struct Shard {
    std::mutex mutex;
    std::list<Key> order;
    std::unordered_map<Key, std::pair<Value, typename std::list<Key>::iterator>> map;
  };
  Shard& ShardOf(const Key& key) { return shards_[(std::hash<Key>()(key) >> 7) % kShards]; }

  const std::size_t per_shard_;
  std::array<Shard, kShards> shards_;
};

using UnitCache = LruCache<Uuid, std::shared_ptr<UnitEntry>>;
using TokenCache = LruCache<std::string, TokenFacts>;  // by SHA-256 of the token

}  // namespace pepeunit::unit_ingest
