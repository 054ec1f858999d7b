#include "pepeunit/base/executor.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <future>

#include "pepeunit/base/backoff.h"

using namespace pepeunit;

TEST_CASE("a full queue refuses at once, and a drain finishes what was taken") {
  std::promise<void> gate;
  auto opened = gate.get_future().share();
  std::atomic<int> done = 0;
  std::promise<void> started;
  Executor executor(1, 2);
  REQUIRE(executor.TryRun([&] {
    started.set_value();
    opened.wait();
    ++done;
  }));
  started.get_future().wait();
  REQUIRE(executor.TryRun([&] { ++done; }));
  REQUIRE(executor.TryRun([&] { ++done; }));
  CHECK_FALSE(executor.TryRun([&] { ++done; }));
  CHECK(executor.queued() == 2);
  gate.set_value();
  executor.Drain();
  CHECK(done == 3);
  CHECK_FALSE(executor.TryRun([] {}));
}

TEST_CASE("backoff doubles within its bounds") {
  using std::chrono::milliseconds;
  Backoff backoff(milliseconds(100), milliseconds(1000));
  for (const int step : {100, 200, 400, 800, 1000, 1000}) {
    const auto wait = backoff.Next();
    CHECK(wait >= milliseconds(step / 2));
    CHECK(wait <= milliseconds(step));
  }
  backoff.Reset();
  CHECK(backoff.Next() <= milliseconds(100));
}
