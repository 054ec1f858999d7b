#include "pepeunit/runtime/service.h"

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "loopback.h"

using namespace pepeunit;
using namespace std::chrono_literals;

namespace {

// The whole answer to one GET; empty when nobody listens.
std::string Get(std::uint16_t port, const std::string& path) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  const sockaddr_in address = Loopback(port);
  std::string answer;
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    const std::string request = "GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    if (::send(fd, request.data(), request.size(), MSG_NOSIGNAL) > 0) {
      char buffer[4096];
      ssize_t got = 0;
      while ((got = ::recv(fd, buffer, sizeof buffer, 0)) > 0) answer.append(buffer, static_cast<std::size_t>(got));
    }
  }
  ::close(fd);
  return answer;
}

bool Eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 250; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(20ms);
  }
  return false;
}

}  // namespace

TEST_CASE("the admin port tells the truth, and SIGTERM drains in order") {
  const std::uint16_t port = FreePort();
  runtime::Service service(
      {.service = "test", .log_level = "error", .admin_address = "127.0.0.1", .admin_port = port, .drain_timeout = 2s});
  std::atomic<bool> answers = false;
  std::atomic<int> changes = 0;
  std::vector<std::string> drained;
  std::atomic<bool> hangs = false;
  service.AddReadiness("other", [&] {
    while (hangs) std::this_thread::sleep_for(10ms);
    return absl::OkStatus();
  });
  service.AddReadiness("thing", [&] { return answers ? absl::OkStatus() : absl::UnavailableError("thing is away"); });
  service.OnReadyChange([&](bool) { ++changes; });
  service.OnDrain("first", [&](auto) { drained.push_back("first"); });
  service.OnDrain("second", [&](auto) { drained.push_back("second"); });
  int exit_code = -1;
  std::atomic<int> tries = 0;
  std::thread run([&] {
    exit_code =
        service.Run({{"slow", [&] { return ++tries < 3 ? absl::UnavailableError("not yet") : absl::OkStatus(); }}});
  });

  REQUIRE(Eventually([&] { return Get(port, "/healthz").find("200 OK") != std::string::npos; }));
  CHECK(Eventually([&] { return Get(port, "/readyz").find("thing is away") != std::string::npos; }));
  CHECK(Get(port, "/readyz").find("503") != std::string::npos);
  answers = true;
  CHECK(Eventually([&] { return Get(port, "/readyz").find("\"ready\":true") != std::string::npos; }));
  CHECK(Get(port, "/metrics").find("pepeunit_ready 1") != std::string::npos);
  CHECK(Get(port, "/other").find("404") != std::string::npos);
  hangs = true;  // its last word was good, and does not hold for long
  CHECK(Eventually([&] { return Get(port, "/readyz").find("\"other\":\"does not answer\"") != std::string::npos; }));
  CHECK(Get(port, "/readyz").find("503") != std::string::npos);
  hangs = false;
  CHECK(Eventually([&] { return Get(port, "/readyz").find("\"ready\":true") != std::string::npos; }));

  ::kill(::getpid(), SIGTERM);
  run.join();
  CHECK(exit_code == 0);
  CHECK(tries == 3);
  CHECK(drained == std::vector<std::string>{"first", "second"});
  CHECK(changes == 4);  // ready, not while one hangs, ready, and not when draining
  CHECK(Get(port, "/healthz").empty());
}

TEST_CASE("a start that cannot succeed ends the process") {
  runtime::Service service({.service = "test",
                            .log_level = "error",
                            .admin_address = "127.0.0.1",
                            .admin_port = FreePort(),
                            .drain_timeout = 2s});
  bool later = false;
  CHECK(service.Run({{"bad", [] { return absl::InvalidArgumentError("never"); }}, {"later", [&] {
                                                                                     later = true;
                                                                                     return absl::OkStatus();
                                                                                   }}}) == 1);
  CHECK_FALSE(later);
}
