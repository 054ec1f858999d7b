#include "iv_source.h"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

using Iv = std::array<std::uint8_t, 16>;

TEST_CASE("IVs do not repeat, across refills, reseeds and threads", "[U4]") {
  std::mutex mutex;
  std::set<Iv> seen;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      std::vector<Iv> mine(70000);  // more than one MiB
      for (Iv& iv : mine) pepeunit::envelope::RandomIv(iv.data());
      const std::lock_guard lock(mutex);
      seen.insert(mine.begin(), mine.end());
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(seen.size() == 4 * 70000);
}

TEST_CASE("a forked child does not repeat its parent's IVs", "[U4]") {
  Iv before;
  pepeunit::envelope::RandomIv(before.data());  // the pool is filled before the fork
  int fds[2];
  REQUIRE(pipe(fds) == 0);
  const pid_t child = fork();
  if (child == 0) {
    Iv iv;
    pepeunit::envelope::RandomIv(iv.data());
    _exit(write(fds[1], iv.data(), iv.size()) == 16 ? 0 : 1);
  }
  Iv of_child, of_parent;
  REQUIRE(read(fds[0], of_child.data(), of_child.size()) == 16);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  pepeunit::envelope::RandomIv(of_parent.data());
  close(fds[0]);
  close(fds[1]);
  CHECK(of_child != of_parent);
}
