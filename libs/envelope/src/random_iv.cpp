#include "random_iv.h"

#include <cstring>
#include <string>

#include "pepeunit/base/bytes.h"

namespace pepeunit::envelope {

void FillIv(std::uint8_t* out) {
  constexpr std::size_t kIv = 16, kPool = 64 * kIv;
  thread_local std::string pool;
  thread_local std::size_t used = kPool;
  if (used == kPool) {
    pool = RandomBytes(kPool);
    used = 0;
  }
  std::memcpy(out, pool.data() + used, kIv);
  used += kIv;
}

}  // namespace pepeunit::envelope
