#pragma once

#include <cstdint>

namespace pepeunit::envelope {

// Fills 16 bytes with randomness from a pool of the thread, which a system call refills every 64 IVs. An IV of CBC has
// to be unpredictable, not secret, so what is left of the pool needs no care. Not for use in a child after fork.
void FillIv(std::uint8_t* out);

}  // namespace pepeunit::envelope
