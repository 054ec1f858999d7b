#pragma once

#include <cstddef>
#include <semaphore>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace pepeunit::crypto {

// Hashes and checks passwords with scrypt (RFC 7914). Thread-safe. Each computation takes 32 MiB and about a tenth of
// a second, so only a few run at once; one more is RESOURCE_EXHAUSTED.
//
// A hash is `$scrypt$ln=15,r=8,p=1$<salt>$<hash>`: cost as log2, base64 without padding (the PHC string format,
// https://github.com/P-H-C/phc-string-format).
class Passwords {
 public:
  static constexpr std::size_t kMaxPassword = 1024;
  static constexpr std::size_t kMaxHash = 256;

  explicit Passwords(std::ptrdiff_t most_at_once) : slots_(most_at_once) {}

  absl::StatusOr<std::string> Hash(std::string_view password);
  // Compares in constant time. An empty hash takes as long as a real one and is false. INVALID_ARGUMENT if `hash` is
  // none of ours.
  absl::StatusOr<bool> Verify(std::string_view password, std::string_view hash);

 private:
  std::counting_semaphore<64> slots_;
};

struct ScryptCost {
  unsigned ln = 15;  // log2 of N
  unsigned r = 8;
  unsigned p = 1;
};
// scrypt itself, for the test vectors too. INTERNAL if memory runs out.
absl::StatusOr<std::string> Scrypt(std::string_view password, std::string_view salt, const ScryptCost& cost,
                                   std::size_t length);

}  // namespace pepeunit::crypto
