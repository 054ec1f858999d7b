#pragma once

#include <algorithm>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "key_ring.h"
#include "pepeunit/base/bytes.h"
#include "pepeunit/base/errors.h"

namespace pepeunit::crypto {

// The store of the tests; counts how often it is asked and can be switched off.
class MemoryKeyStore final : public KeyStore {
 public:
  absl::StatusOr<std::vector<StoredKey>> Load() override {
    const std::lock_guard lock(mutex);
    ++loads;
    if (down) return Unavailable("The store is down.");
    return keys;
  }

  absl::Status CreateIfMissing(const std::string& purpose,
                               const std::function<StoredKey(std::uint32_t)>& make) override {
    const std::lock_guard lock(mutex);
    if (down) return Unavailable("The store is down.");
    const auto active = [&](const StoredKey& key) { return key.active && key.purpose == purpose; };
    if (std::none_of(keys.begin(), keys.end(), active)) {
      keys.push_back(make(static_cast<std::uint32_t>(keys.size() + 1)));
    }
    return absl::OkStatus();
  }

  std::mutex mutex;
  std::vector<StoredKey> keys;
  int loads = 0;
  bool down = false;
};

inline MasterKey TestMaster(char fill = 'm') {
  std::string text = Base64Encode(AsBytes(std::string(32, fill)));
  return *MasterKey::FromBase64(text);
}

inline std::unique_ptr<KeyRing> TestRing(KeyStore& store) {
  auto ring = KeyRing::Open(TestMaster(), store);
  return ring.ok() ? *std::move(ring) : nullptr;
}

}  // namespace pepeunit::crypto
