#pragma once

#include <cstdint>

namespace pepeunit::envelope {

// Fills the 16 bytes at `iv` with unpredictable ones, without a system call per IV: each thread draws from a ChaCha20
// keystream of its own, whose key is replaced by the keystream itself at every refill (fast key erasure) and by the
// operating system's randomness after every MiB and after a fork(). Thread-safe.
void RandomIv(std::uint8_t* iv);

}  // namespace pepeunit::envelope
