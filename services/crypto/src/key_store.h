#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace pepeunit::crypto {

// A data key as it is stored.
struct StoredKey {
  std::uint32_t id = 0;
  std::string purpose;             // the name of a Purpose
  std::string wrapped;             // by the master key
  std::string master_fingerprint;  // of the master key that wrapped it
  bool active = false;
};

// Where data keys are kept. Implementations are thread-safe and answer UNAVAILABLE when they cannot be reached.
class KeyStore {
 public:
  virtual ~KeyStore() = default;

  // All keys, by id.
  virtual absl::StatusOr<std::vector<StoredKey>> Load() = 0;

  // Unless there is an active key of this purpose: stores the one that `make` returns for the id it is given. Of
  // several callers at once, one creates, and the others find. `make` may be called more than once.
  virtual absl::Status CreateIfMissing(const std::string& purpose,
                                       const std::function<StoredKey(std::uint32_t id)>& make) = 0;
};

}  // namespace pepeunit::crypto
