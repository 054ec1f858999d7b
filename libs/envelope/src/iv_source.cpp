#include "iv_source.h"

#include <cryptopp/chacha.h>
#include <cryptopp/osrng.h>
#include <pthread.h>

#include <array>
#include <atomic>
#include <cstring>

#include "pepeunit/envelope/envelope.h"

namespace pepeunit::envelope {
namespace {

constexpr std::size_t kSeedBytes = 32;
constexpr std::size_t kPoolBytes = 4096;
constexpr unsigned kRefillsPerSeed = 256;  // 1 MiB of keystream

// Raised in the child of every fork(), so that parent and child never hand out the same IVs.
std::atomic<std::uint64_t> fork_generation{0};
const int fork_handler = pthread_atfork(nullptr, nullptr, [] { fork_generation.fetch_add(1); });

class Pool {
 public:
  void Take(std::uint8_t* iv) {
    const std::uint64_t generation = fork_generation.load(std::memory_order_relaxed);
    if (generation != generation_ || refills_ == kRefillsPerSeed) {
      CryptoPP::OS_GenerateRandomBlock(false, seed_.data(), seed_.size());
      generation_ = generation;
      refills_ = 0;
      Refill();
    } else if (position_ == kPoolBytes) {
      Refill();
    }
    std::memcpy(iv, bytes_.data() + position_, kIvBytes);
    std::memset(bytes_.data() + position_, 0, kIvBytes);
    position_ += kIvBytes;
  }

 private:
  void Refill() {
    static constexpr std::array<std::uint8_t, 8> kNonce{};  // every key is used once
    cipher_.SetKeyWithIV(seed_.data(), seed_.size(), kNonce.data(), kNonce.size());
    bytes_.fill(0);
    cipher_.ProcessData(bytes_.data(), bytes_.data(), bytes_.size());
    std::memcpy(seed_.data(), bytes_.data(), kSeedBytes);
    std::memset(bytes_.data(), 0, kSeedBytes);
    position_ = kSeedBytes;
    ++refills_;
  }

  CryptoPP::ChaCha::Encryption cipher_;
  std::array<std::uint8_t, kSeedBytes> seed_;
  std::array<std::uint8_t, kPoolBytes> bytes_;
  std::size_t position_ = kPoolBytes;
  std::uint64_t generation_ = 0;
  unsigned refills_ = kRefillsPerSeed;  // seeds at the first use
};

}  // namespace

void RandomIv(std::uint8_t* iv) {
  thread_local Pool pool;
  pool.Take(iv);
}

}  // namespace pepeunit::envelope
