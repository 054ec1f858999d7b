// The frames of a client, after a connection became a WebSocket: whatever they are, the server ends the connection in
// the end, hands over no message beyond its bound, and goes on serving.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "fuzz.h"
#include "pepeunit/base/log.h"
#include "pepeunit/http/server.h"

using namespace pepeunit;

namespace {

constexpr std::size_t kMost = 4096;

struct Served {
  http::Server server;
  Served()
      : server({.threads = 1, .max_body_bytes = kMost}, [](std::shared_ptr<http::Exchange> exchange) {
          if (!exchange->AsksForWebSocket("fuzz"))
            return exchange->Respond({.status = 404, .content_type = "", .headers = {}, .body = ""});
          exchange->Upgrade("fuzz", [](std::shared_ptr<http::WebSocket> socket) {
            socket->Welcome();
            return http::WebSocketEvents{.message =
                                             [socket](std::string message) {
                                               FUZZ_CHECK(message.size() <= kMost);
                                               socket->SendBinary(std::move(message), nullptr);
                                             },
                                         .closed = [] {}};
          });
        }) {
    FUZZ_CHECK(server.Start().ok());
  }
};

constexpr char kAsk[] =
    "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: fuzz\r\n\r\n";

// libFuzzer's own timer interrupts calls.
template <typename Call>
auto Again(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Served served;
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(served.server.port());
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  // The ends of a connection are not left waiting, or their ports would run out.
  const linger now{.l_onoff = 1, .l_linger = 0};
  const timeval patience{.tv_sec = 20, .tv_usec = 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  FUZZ_CHECK(Again([&] { return ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address); }) == 0 ||
             errno == EISCONN);
  FUZZ_CHECK(Again([&] { return ::send(fd, kAsk, sizeof kAsk - 1, MSG_NOSIGNAL); }) == sizeof kAsk - 1);
  std::string head;
  char buffer[8192];
  while (head.find("\r\n\r\n") == std::string::npos) {
    const ssize_t got = Again([&] { return ::recv(fd, buffer, sizeof buffer, 0); });
    FUZZ_CHECK(got > 0);
    head.append(buffer, static_cast<std::size_t>(got));
  }
  FUZZ_CHECK(head.find(" 101 ") != std::string::npos);
  (void)Again([&] { return ::send(fd, data, size, MSG_NOSIGNAL); });
  ::shutdown(fd, SHUT_WR);
  while (true) {
    const ssize_t got = Again([&] { return ::recv(fd, buffer, sizeof buffer, 0); });
    if (got == 0 || (got < 0 && errno == ECONNRESET)) break;
    FUZZ_CHECK(got > 0);  // else the server has left it open
  }
  ::close(fd);
  return 0;
}
