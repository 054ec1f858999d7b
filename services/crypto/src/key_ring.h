#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "key_store.h"
#include "master_key.h"
#include "secret.h"

namespace pepeunit::crypto {

// What a data key is for; one key never serves two purposes.
enum class Purpose { kField, kUnitToken, kUnitSignature, kAccessSignature };
const char* PurposeName(Purpose purpose);

struct DataKey {
  std::uint32_t id = 0;
  Purpose purpose = Purpose::kField;
  bool active = false;
  Secret secret;           // 32 bytes
  std::string public_key;  // signatures only
};
using DataKeyPtr = std::shared_ptr<const DataKey>;

// The data keys, unwrapped, in memory. Thread-safe. It asks the store at the start, for an id that it does not know
// (another replica may have made it), and for verification keys once a minute; never otherwise.
class KeyRing {
 public:
  // Makes the keys that are missing. FAILED_PRECONDITION if the stored keys do not open with `master`: then nothing
  // was written, and the service must not go on. UNAVAILABLE if the store does not answer. `store` outlives the ring.
  static absl::StatusOr<std::unique_ptr<KeyRing>> Open(MasterKey master, KeyStore& store);

  // The same, but waits with backoff for a store that does not answer, until `give_up`.
  static absl::StatusOr<std::unique_ptr<KeyRing>> OpenWaiting(const MasterKey& master, KeyStore& store,
                                                              std::chrono::milliseconds give_up);

  // The key that makes new ciphertexts or signatures.
  DataKeyPtr Active(Purpose purpose) const;
  // The key with this id. NOT_FOUND if there is none, UNAVAILABLE if that cannot be known now.
  absl::StatusOr<DataKeyPtr> Find(Purpose purpose, std::uint32_t id);
  // All of them, newest first. What is in memory if the store does not answer.
  std::vector<DataKeyPtr> All(Purpose purpose);

 private:
  KeyRing(MasterKey master, KeyStore& store) : master_(std::move(master)), store_(store) {}

  absl::Status CheckMaster(const std::vector<StoredKey>& stored) const;
  absl::Status CreateMissing(const std::vector<StoredKey>& stored);
  absl::Status Load();
  // Load(), at most once in `pause_ms`: else the outcome of the last one.
  absl::Status Reload(std::int64_t pause_ms);
  DataKeyPtr InMemory(Purpose purpose, std::uint32_t id) const;

  const MasterKey master_;
  KeyStore& store_;
  mutable std::shared_mutex mutex_;  // guards keys_
  std::map<std::uint32_t, DataKeyPtr> keys_;
  std::mutex reload_mutex_;  // guards the two below; held while the store is asked
  std::int64_t reloaded_ms_ = 0;
  absl::Status reload_status_;
};

}  // namespace pepeunit::crypto
