#include "pepeunit/http/server.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "raw_client.h"

using namespace pepeunit;
using namespace std::chrono_literals;

namespace {

struct Fixture {
  http::ServerOptions options;
  std::vector<std::shared_ptr<http::Exchange>> held;
  std::mutex mutex;
  std::atomic<bool> client_gone = false;
  std::unique_ptr<http::Server> server;

  explicit Fixture(std::function<void(http::ServerOptions&)> change = {}) {
    options.max_body_bytes = 1000;
    options.max_header_bytes = 2000;
    if (change) change(options);
    server =
        std::make_unique<http::Server>(options, [this](std::shared_ptr<http::Exchange> e) { Handle(std::move(e)); });
    REQUIRE(server->Start().ok());
  }

  void Handle(std::shared_ptr<http::Exchange> exchange) {
    const std::string path(exchange->path());
    if (path == "/drop") return;
    if (path == "/throw") throw std::runtime_error("oops");
    if (path == "/hold") {
      std::lock_guard lock(mutex);
      held.push_back(std::move(exchange));
      return;
    }
    if (path == "/later") {
      std::thread([exchange] {
        std::this_thread::sleep_for(50ms);
        exchange->Respond({.status = 200, .content_type = "text/plain", .headers = {}, .body = "later"});
        exchange->Respond({.status = 500, .content_type = "", .headers = {}, .body = "never seen"});
      }).detach();
      return;
    }
    if (path == "/stream" || path == "/endless" || path == "/cut") {
      Stream(exchange, path == "/endless" ? 1'000'000 : 3, path != "/cut");
      return;
    }
    exchange->Respond({.status = 200,
                       .content_type = "text/plain",
                       .headers = {{"X-Evil", "a\r\nInjected: yes"}},
                       .body = std::string(exchange->method()) + " " + path + "?" + std::string(exchange->query()) +
                               " " + std::string(exchange->Header("x-test")) + " " + std::string(exchange->body()) +
                               std::string(exchange->LastHeader("X-Many"))});
  }

  void Stream(const std::shared_ptr<http::Exchange>& exchange, int left, bool complete) {
    exchange->StartStream({.status = 200, .content_type = "text/plain", .headers = {}, .body = ""},
                          [this, exchange, left, complete](bool ok) { Next(exchange, left, complete, ok); });
  }
  void Next(const std::shared_ptr<http::Exchange>& exchange, int left, bool complete, bool ok) {
    if (!ok) {
      client_gone = true;
      return;
    }
    if (left == 0) return exchange->End(complete);
    exchange->Write(std::string(left > 3 ? 10'000 : 5, 'x'),
                    [this, exchange, left, complete](bool good) { Next(exchange, left - 1, complete, good); });
  }

  std::string Once(const std::string& request) {
    Raw client(server->port());
    client.Send(request);
    return client.ReadAll();
  }
};

const std::string kClose = " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";

}  // namespace

TEST_CASE("a request reaches the handler and its answer the client") {
  Fixture f;
  const std::string answer = f.Once("POST /a/b?c=d" + kClose + "X-Test: t\r\nContent-Length: 4\r\n\r\nbody");
  CHECK(Has(answer, "HTTP/1.1 200 OK\r\n"));
  CHECK(Has(answer, "POST /a/b?c=d t body"));
  CHECK_FALSE(Has(answer, "\r\nInjected:"));
}

TEST_CASE("a connection serves many requests, pipelined ones in order") {
  Fixture f;
  Raw client(f.server->port());
  for (int i = 0; i < 3; ++i) {
    client.Send("GET /n" + std::to_string(i) + " HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(Has(client.ReadUntil("  "), "GET /n" + std::to_string(i)));
  }
  client.Send("GET /later HTTP/1.1\r\nHost: x\r\n\r\nGET /second" + kClose + "\r\n");
  const std::string both = client.ReadAll();
  CHECK(both.find("later") < both.find("/second"));
  CHECK_FALSE(Has(both, "never seen"));
  CHECK(f.server->stats().requests == 5);
}

TEST_CASE("of repeated headers the last one can be read") {
  Fixture f;
  CHECK(Has(f.Once("GET /x" + kClose + "X-Many: first\r\nx-many: last\r\n\r\n"), "  last"));
}

TEST_CASE("HEAD has the length but no body") {
  Fixture f;
  const std::string answer = f.Once("HEAD /x" + kClose + "\r\n");
  CHECK(Has(answer, "Content-Length: 10\r\n"));
  CHECK(answer.ends_with("\r\n\r\n"));
}

TEST_CASE("limits are answered with their status") {
  Fixture f;
  CHECK(Has(f.Once("POST /x" + kClose + "Content-Length: 1001\r\n\r\n" + std::string(1001, 'x')), "413 "));
  CHECK(Has(f.Once("POST /x" + kClose + "Transfer-Encoding: chunked\r\n\r\n7d0\r\n" + std::string(2000, 'x') +
                   "\r\n0\r\n\r\n"),
            "413 "));
  CHECK(Has(f.Once("GET /x" + kClose + "X-Long: " + std::string(3000, 'x') + "\r\n\r\n"), "431 "));
  CHECK(Has(f.Once("NONSENSE\r\n\r\n"), "400 "));
  CHECK(Has(f.Once("POST /x" + kClose + "Content-Length: 1000\r\n\r\n" + std::string(1000, 'x')), "200 "));
}

TEST_CASE("who sends far more than the bound is answered all the same, and not cut off") {
  Fixture f;
  // More than the buffers of both sockets hold: a connection that was closed meanwhile would take the answer with it.
  for (int i = 0; i < 5; ++i) {
    CHECK(Has(f.Once("POST /x" + kClose + "Content-Length: 6000000\r\n\r\n" + std::string(6'000'000, 'x')), "413 "));
  }
}

TEST_CASE("the client is told to go on when it asks") {
  Fixture f;
  Raw client(f.server->port());
  client.Send("POST /x" + kClose + "Expect: 100-continue\r\nContent-Length: 4\r\n\r\n");
  CHECK(Has(client.ReadUntil("\r\n\r\n"), "100 Continue"));
  client.Send("body");
  CHECK(Has(client.ReadAll(), "body"));
}

TEST_CASE("a slow request, an idle connection and a slow handler come to an end") {
  Fixture f([](http::ServerOptions& o) {
    o.read_timeout = 200ms;
    o.idle_timeout = 300ms;
    o.handler_timeout = 200ms;
  });
  Raw slow(f.server->port()), idle(f.server->port());
  slow.Send("POST /x" + kClose + "Content-Length: 100\r\n\r\nhalf");
  CHECK(Has(slow.ReadAll(), "408 "));
  CHECK(idle.ReadAll().empty());
  CHECK(Has(f.Once("GET /hold" + kClose + "\r\n"), "503 "));
  // The late answer goes nowhere.
  std::lock_guard lock(f.mutex);
  f.held[0]->Respond({.status = 200, .content_type = "", .headers = {}, .body = "late"});
  f.held.clear();
}

TEST_CASE("a handler that drops or throws is a 500") {
  Fixture f;
  CHECK(Has(f.Once("GET /drop" + kClose + "\r\n"), "500 "));
  CHECK(Has(f.Once("GET /throw" + kClose + "\r\n"), "500 "));
}

TEST_CASE("one connection more than allowed is refused") {
  Fixture f([](http::ServerOptions& o) { o.max_connections = 1; });
  Raw first(f.server->port());
  first.Send("GET /one HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(Has(first.ReadUntil("  "), "/one"));
  CHECK(Has(Raw(f.server->port()).ReadAll(), "503 "));
}

TEST_CASE("one client has a share of the connections, which comes back with each that ends") {
  Fixture f([](http::ServerOptions& o) { o.max_of_address = 2; });
  // A connection is counted until the server has seen its end, which is after the client's.
  const auto left = [&](size_t most) {
    for (int i = 0; i < 500 && f.server->stats().connections > most; ++i) std::this_thread::sleep_for(10ms);
    return f.server->stats().connections <= most;
  };
  for (int round = 0; round < 3; ++round) {
    REQUIRE(left(0));
    Raw first(f.server->port());
    {
      Raw second(f.server->port());
      for (Raw* raw : {&first, &second}) {
        raw->Send("GET /one HTTP/1.1\r\nHost: x\r\n\r\n");
        CHECK(Has(raw->ReadUntil("  "), "/one"));
      }
      CHECK(Has(Raw(f.server->port()).ReadAll(), "503 "));
    }
    REQUIRE(left(1));
    CHECK(Has(f.Once("GET /again" + kClose + "\r\n"), "200 "));
  }
}

TEST_CASE("a connection that never sends anything is not kept as long as one between requests") {
  Fixture f([](http::ServerOptions& o) { o.read_timeout = 200ms; });  // idle ones are kept for 75 s
  Raw silent(f.server->port());
  CHECK(silent.ReadAll().empty());
}

TEST_CASE("a stream arrives in chunks, and a cut one is seen as cut") {
  Fixture f;
  const std::string whole = f.Once("GET /stream" + kClose + "\r\n");
  CHECK(Has(whole, "Transfer-Encoding: chunked"));
  CHECK(Has(whole, "5\r\nxxxxx\r\n5\r\nxxxxx\r\n5\r\nxxxxx\r\n0\r\n\r\n"));
  CHECK_FALSE(Has(f.Once("GET /cut" + kClose + "\r\n"), "0\r\n\r\n"));
  const std::string old = f.Once("GET /stream HTTP/1.0\r\n\r\n");
  CHECK_FALSE(Has(old, "chunked"));
  CHECK(old.ends_with("\r\n\r\nxxxxxxxxxxxxxxx"));
}

TEST_CASE("a stream stops when the client goes") {
  Fixture f;
  {
    Raw client(f.server->port());
    client.Send("GET /endless" + kClose + "\r\n");
    client.ReadUntil("xxx");
  }
  for (int i = 0; i < 100 && !f.client_gone; ++i) std::this_thread::sleep_for(20ms);
  CHECK(f.client_gone);
}

TEST_CASE("a shutdown lets the running request finish and closes idle connections") {
  Fixture f;
  Raw busy(f.server->port()), idle(f.server->port());
  busy.Send("GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
  std::this_thread::sleep_for(20ms);
  f.server->Shutdown(std::chrono::steady_clock::now() + 5s);
  CHECK(Has(busy.ReadAll(), "later"));
  CHECK(idle.ReadAll().empty());
}

TEST_CASE("an address in use is told") {
  Fixture f;
  http::ServerOptions options;
  options.port = f.server->port();
  http::Server second(options, [](std::shared_ptr<http::Exchange>) {});
  const absl::Status status = second.Start();
  CHECK(status.code() == absl::StatusCode::kUnavailable);
  CHECK(Has(std::string(status.message()), std::to_string(f.server->port())));
}
