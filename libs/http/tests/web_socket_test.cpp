#include <catch2/catch.hpp>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "pepeunit/http/server.h"
#include "raw_client.h"

using namespace pepeunit;
using namespace std::chrono_literals;

namespace {

constexpr char kAsk[] =
    "GET /socket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: echo\r\n\r\n";

// Of a client: masked (RFC 6455, section 5.2), with a mask of zeros.
std::string Frame(std::uint8_t first, const std::string& payload) {
  std::string frame(1, static_cast<char>(first));
  if (payload.size() < 126) {
    frame += static_cast<char>(0x80 | payload.size());
  } else {
    frame += static_cast<char>(0x80 | 126);
    frame += static_cast<char>(payload.size() >> 8);
    frame += static_cast<char>(payload.size() & 0xFF);
  }
  return frame + std::string(4, '\0') + payload;
}
const auto kBinary = [](const std::string& payload) { return Frame(0x82, payload); };

// Sends back what comes; "welcome" is one who may stay, "many" gets a thousand messages, "throw" is one too much.
struct EchoServer {
  http::ServerOptions options;
  std::unique_ptr<http::Server> server;
  std::mutex mutex;
  std::vector<std::shared_ptr<http::WebSocket>> open;
  int messages = 0, closed = 0;

  explicit EchoServer(std::function<void(http::ServerOptions&)> change = {}) {
    options.max_body_bytes = 1000;
    if (change) change(options);
    server = std::make_unique<http::Server>(options, [this](std::shared_ptr<http::Exchange> exchange) {
      if (!exchange->AsksForWebSocket("echo"))
        return exchange->Respond({.status = 426, .content_type = "", .headers = {}, .body = ""});
      exchange->Upgrade("echo", [this](std::shared_ptr<http::WebSocket> socket) { return Open(std::move(socket)); });
    });
    REQUIRE(server->Start().ok());
  }
  http::WebSocketEvents Open(std::shared_ptr<http::WebSocket> socket) {
    std::lock_guard lock(mutex);
    open.push_back(socket);
    return {.message =
                [this, socket](std::string message) {
                  {
                    std::lock_guard held(mutex);
                    ++messages;
                  }
                  if (message == "welcome") socket->Welcome();
                  if (message == "throw") throw std::runtime_error("oops");
                  if (message == "many") {
                    for (int i = 0; i < 1000; ++i) socket->SendBinary(std::string(900, 'm'), nullptr);
                  }
                  socket->SendBinary(std::move(message), nullptr);
                },
            .closed =
                [this] {
                  std::lock_guard held(mutex);
                  ++closed;
                }};
  }
  bool AllClosed(int count) {
    for (int i = 0; i < 1000; ++i) {
      {
        std::lock_guard lock(mutex);
        if (closed == count) return true;
      }
      std::this_thread::sleep_for(10ms);
    }
    return false;
  }
};

std::unique_ptr<Raw> Ask(EchoServer& s) {
  auto client = std::make_unique<Raw>(s.server->port());
  client->Send(kAsk);
  const std::string head = client->ReadUntil("\r\n\r\n");
  REQUIRE(Has(head, "101 Switching Protocols"));
  REQUIRE(Has(head, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));  // of RFC 6455, section 1.3
  REQUIRE(Has(head, "Sec-WebSocket-Protocol: echo"));
  return client;
}

}  // namespace

TEST_CASE("a connection becomes a WebSocket and carries messages both ways", "[U12]") {
  EchoServer s;
  auto client = Ask(s);
  client->Send(kBinary("hello"));
  REQUIRE(client->ReadUntil("hello") == "\x82\x05hello");
  // In pieces, with a ping between them.
  client->Send(Frame(0x02, "one") + Frame(0x89, "?") + Frame(0x80, "two"));
  REQUIRE(client->ReadUntil("onetwo") == std::string("\x8A\x01?\x82\x06onetwo"));
  client->Send(Frame(0x88, "\x03\xE8"));
  REQUIRE(client->ReadAll() == "\x88\x02\x03\xE8");
  REQUIRE(s.AllClosed(1));
}

TEST_CASE("what is no WebSocket does not become one", "[U12][S7]") {
  EchoServer s;
  Raw other(s.server->port());
  std::string ask = kAsk;
  ask.replace(ask.find("Protocol: echo"), 14, "Protocol: loud");
  other.Send(ask);
  REQUIRE(Has(other.ReadUntil("\r\n\r\n"), "426 "));
  Raw hasty(s.server->port());
  hasty.Send(kAsk + kBinary("too early"));
  REQUIRE(Has(hasty.ReadAll(), "400 Bad Request"));
}

TEST_CASE("messages that must not be end the connection with a code that says why", "[U12][S7]") {
  EchoServer s;
  const auto ends_with = [&](const std::string& sent, const std::string& code) {
    auto client = Ask(s);
    client->Send(kBinary("welcome"));
    client->ReadUntil("welcome");
    client->Send(sent);
    const std::string end = client->ReadAll();
    REQUIRE(end.size() >= 4);
    REQUIRE(end[0] == '\x88');
    REQUIRE(end.substr(2, 2) == code);
  };
  ends_with(Frame(0x81, "text"), "\x03\xEB");               // 1003
  ends_with(kBinary(std::string(1001, 'x')), "\x03\xF1");   // 1009
  ends_with("\x82\x05hello", "\x03\xEA");                   // 1002: not masked
  ends_with(Frame(0xF2, "reserved bits"), "\x03\xEA");      // 1002
  ends_with(Frame(0x80, "continues nothing"), "\x03\xEA");  // 1002
  ends_with(kBinary("throw"), "\x03\xF3");                  // 1011
  REQUIRE(s.AllClosed(6));
}

TEST_CASE("who is not welcome has little time, and who says nothing is asked and then let go", "[U12][S7]") {
  EchoServer s([](http::ServerOptions& o) {
    o.read_timeout = 1000ms;
    o.idle_timeout = 2500ms;
  });
  auto stranger = Ask(s), silent = Ask(s), alive = Ask(s);
  const auto begin = std::chrono::steady_clock::now();
  silent->Send(kBinary("welcome"));
  silent->ReadUntil("welcome");
  alive->Send(kBinary("welcome"));
  alive->ReadUntil("welcome");
  REQUIRE(stranger->ReadAll().empty());
  // Both are pinged; one answers.
  const std::string ping = alive->ReadUntil(std::string("\x89\0", 2));
  REQUIRE(ping == std::string("\x89\0", 2));
  alive->Send(Frame(0x8A, ""));
  REQUIRE(silent->ReadAll() == std::string("\x89\0", 2));
  REQUIRE(std::chrono::steady_clock::now() - begin >= 2s);
  alive->Send(kBinary("still here"));
  REQUIRE(Has(alive->ReadUntil("still here"), "still here"));
}

TEST_CASE("who does not read what he asks for is not read either", "[U12][S7]") {
  EchoServer s([](http::ServerOptions& o) { o.write_timeout = 1000ms; });
  auto client = Ask(s);
  client->Send(kBinary("welcome"));
  client->ReadUntil("welcome");
  // 9 MB more than any socket's buffer holds: from then on nothing is taken, and in the end the connection is cut.
  for (int i = 0; i < 10; ++i) client->Send(kBinary("many"));
  for (int i = 0; i < 5000; ++i) client->Send(kBinary("more"));
  REQUIRE(s.AllClosed(1));
  REQUIRE(s.messages < 5000);
}

TEST_CASE("a server that is stopped says so on its WebSockets", "[U12][S5]") {
  EchoServer s;
  auto client = Ask(s);
  client->Send(kBinary("welcome"));
  client->ReadUntil("welcome");
  std::thread stop([&] { s.server->Shutdown(std::chrono::steady_clock::now() + 5s); });
  const std::string end = client->ReadUntil("stopped");
  REQUIRE(end.substr(2, 2) == "\x03\xE9");  // 1001
  client->Send(Frame(0x88, "\x03\xE9"));
  stop.join();
  REQUIRE(s.closed == 1);
}
