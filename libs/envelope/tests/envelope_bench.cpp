#include <chrono>
#include <cstdio>

#include "pepeunit/envelope/envelope.h"

// Prints what one seal and one open of a request of 300 bytes take.
int main() {
  using namespace pepeunit;
  using Clock = std::chrono::steady_clock;
  const auto keys = envelope::Keys::Derive(AsBytes(std::string(32, 'k')));
  const Uuid unit = Uuid::New();
  const std::string text(300, 'x');
  constexpr std::uint64_t kRounds = 500000;
  std::string out;
  const auto micros = [](Clock::duration d) {
    return std::chrono::duration<double, std::micro>(d).count() / static_cast<double>(kRounds);
  };

  const auto start = Clock::now();
  for (std::uint64_t i = 0; i < kRounds; ++i) envelope::SealRequest(keys, unit, i, text, &out);
  const auto sealed = Clock::now();
  std::size_t opened_ok = 0;
  for (std::uint64_t i = 0; i < kRounds; ++i) opened_ok += envelope::OpenRequest(keys, AsBytes(out)).ok();
  const auto opened = Clock::now();
  std::printf("seal %.2f us, open %.2f us (300 B)\n", micros(sealed - start), micros(opened - sealed));
  return opened_ok == kRounds ? 0 : 1;
}
