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

// Whether a cached value must not be forgotten now.
inline bool InUse(const std::shared_ptr<UnitEntry>& entry) { return entry->has_sockets(); }
template <typename Value>
bool InUse(const Value&) {
  return false;
}

// A bounded map that forgets what was used least recently; what is in use stays, beyond the bound if need be.
// Thread-safe, in shards.
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
    if (shard.map.size() >= per_shard_) ForgetOne(shard);
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
      for (auto& [key, entry] : shard.map) each(key, entry.first);
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
  static constexpr int kMostLooked = 8;  // at values in use, for one that is not
  struct Shard {
    std::mutex mutex;
    std::list<Key> order;
    std::unordered_map<Key, std::pair<Value, typename std::list<Key>::iterator>> map;
  };
  static void ForgetOne(Shard& shard) {
    for (int looked = 0; looked < kMostLooked && !shard.order.empty(); ++looked) {
      const auto oldest = shard.map.find(shard.order.back());
      if (!InUse(oldest->second.first)) {
        shard.map.erase(oldest);
        shard.order.pop_back();
        return;
      }
      shard.order.splice(shard.order.begin(), shard.order, std::prev(shard.order.end()));
    }
  }
  Shard& ShardOf(const Key& key) { return shards_[(std::hash<Key>()(key) >> 7) % kShards]; }

  const std::size_t per_shard_;
  std::array<Shard, kShards> shards_;
};

using UnitCache = LruCache<Uuid, std::shared_ptr<UnitEntry>>;
using TokenCache = LruCache<std::string, TokenFacts>;  // by SHA-256 of the token

}  // namespace pepeunit::unit_ingest
