#include "pepeunit/base/executor.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <future>
#include <mutex>
#include <thread>

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

TEST_CASE("those whose work waits take turns, and none has all threads or more than his share") {
  std::promise<void> gate;
  auto opened = gate.get_future().share();
  std::atomic<int> slow = 0;
  std::mutex mutex;
  std::string order;
  Executor executor(3, 20, 6);
  const auto wait = [&] { ++slow, opened.wait(); };
  const auto note = [&](const std::string& who) {
    return [&, who] {
      std::lock_guard lock(mutex);
      order += who;
    };
  };
  const auto run = [&](const std::string& who, std::function<void()> work) {
    return executor.Run({.run = std::move(work), .party = who});
  };
  // Anna's slow work has two of three threads, however much of it there is; Berta's passes on the third.
  for (int i = 0; i < 4; ++i) REQUIRE(run("anna", wait) == Executor::Taken::kYes);
  std::promise<void> passed;
  REQUIRE(run("berta", [&] { passed.set_value(); }) == Executor::Taken::kYes);
  passed.get_future().wait();
  CHECK(slow <= 2);
  REQUIRE(run("anna", note("a")) == Executor::Taken::kYes);
  REQUIRE(run("anna", note("a")) == Executor::Taken::kYes);
  CHECK(run("anna", note("a")) == Executor::Taken::kShare);
  // With one thread for all the rest, those who came later do not wait for all that came before.
  std::promise<void> last;
  REQUIRE(executor.TryRun([&, ours = last.get_future().share()] { ours.wait(); }));
  while (executor.queued() > 4) std::this_thread::yield();
  for (const char* who : {"b", "b", "c", "b", "c"}) REQUIRE(run(who, note(who)) == Executor::Taken::kYes);
  last.set_value();
  while (executor.queued() > 4) std::this_thread::yield();
  gate.set_value();
  executor.Drain();
  CHECK(slow == 4);
  CHECK(order.substr(0, 5) == "bcbcb");
  CHECK(order.size() == 7);
  CHECK(run("berta", [] {}) == Executor::Taken::kFull);
}

TEST_CASE("what comes after a task is done when it counts no more") {
  Executor executor(2, 10, 1);
  for (int i = 0; i < 200; ++i) {
    std::promise<void> done;
    REQUIRE(executor.Run({.run = [] {}, .after = [&] { done.set_value(); }, .party = "anna"}) == Executor::Taken::kYes);
    done.get_future().wait();
  }
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
