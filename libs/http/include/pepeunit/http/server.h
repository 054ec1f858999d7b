#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "pepeunit/base/trace.h"

// A bounded HTTP/1.1 server on Boost.Beast, which stays inside this library's .cpp files.
namespace pepeunit::http {

struct ServerOptions {
  std::string address = "127.0.0.1";         // IP to listen on
  std::uint16_t port = 0;                    // 0: any free one, see Server::port()
  std::size_t threads = 2;                   // handlers run on these and must not block
  std::size_t max_body_bytes = 1u << 20;     // more: 413
  std::size_t max_header_bytes = 16u << 10;  // more: 431
  std::size_t max_connections = 10'000;      // more: 503 and closed
  std::size_t max_of_address = 0;            // the same of one client (AddressGroup); 0: no bound of its own
  std::chrono::milliseconds read_timeout{
      10'000};  // for one request's head and body: 408; for its first byte on a new connection
  std::chrono::milliseconds idle_timeout{75'000};     // between requests of a connection
  std::chrono::milliseconds write_timeout{30'000};    // without progress: closed
  std::chrono::milliseconds handler_timeout{60'000};  // no answer by then: 503, of a stream no next piece: closed
};

struct Response {
  int status = 200;
  std::string content_type;                                  // empty: none
  std::vector<std::pair<std::string, std::string>> headers;  // besides content-type and content-length
  std::string body;
};

// What a request became that asked for it: messages both ways (WebSocket, RFC 6455). Thread-safe.
class WebSocket {
 public:
  virtual ~WebSocket() = default;
  // Messages leave in the order of the calls. `sent` is called once, on the server's thread: false when the connection
  // ended before. What is not sent yet is held without a bound: whoever sends unasked waits for `sent`.
  virtual void SendBinary(std::string message, std::function<void(bool ok)> sent) = 0;
  virtual void SendText(std::string message) = 0;
  // Until then the connection has only `read_timeout` of the server, and from then on `idle_timeout` after each sign
  // of the other side's life; it is pinged in good time.
  virtual void Welcome() = 0;
  // After what waits to be sent. Codes: RFC 6455, section 7.4.1; `reason` has at most 123 bytes.
  virtual void Close(std::uint16_t code, const std::string& reason) = 0;
};

// Called on the server's thread; must not block. After `closed` nothing more is called.
struct WebSocketEvents {
  std::function<void(std::string message)> message;  // of bytes; a message of text ends the connection (1003)
  std::function<void()> closed;
};

// One request and the way to answer it. Shared by whoever works on the answer; thread-safe where it says so.
class Exchange {
 public:
  virtual ~Exchange() = default;

  // The request. Valid until it is answered.
  virtual std::string_view method() const = 0;
  virtual std::string_view target() const = 0;                       // path and query as sent
  virtual std::string_view path() const = 0;                         // before '?', still percent-encoded
  virtual std::string_view query() const = 0;                        // after '?', or empty
  virtual std::string_view Header(std::string_view name) const = 0;  // empty when absent
  // The last of several lines of that name: what a proxy in front has added comes after what the client sent.
  virtual std::string_view LastHeader(std::string_view name) const { return Header(name); }
  virtual std::string_view body() const = 0;
  virtual std::string_view remote_address() const = 0;  // of the connection
  // From `traceparent`, or new.
  virtual const TraceContext& trace() const = 0;

  // Answers. Exactly one of Respond, StartStream and Upgrade, once, from any thread; later calls are ignored.
  virtual void Respond(Response response) = 0;

  // A body of unknown length (chunked). Each Write waits for `done` of the one before; `done(false)` means that the
  // client is gone. End(false) cuts the connection so that the client sees an incomplete body.
  virtual void StartStream(Response head, std::function<void(bool ok)> done) = 0;
  virtual void Write(std::string data, std::function<void(bool ok)> done) = 0;
  virtual void End(bool complete) = 0;
  // Before StartStream: `gone` is called once if the client closes the connection while the stream waits for its next
  // piece, on the server's thread. Without it that shows with the next Write.
  virtual void OnGone(std::function<void()> gone) { (void)gone; }

  // Whether the request asks, rightly, to become a WebSocket and offers `protocol` as its subprotocol.
  virtual bool AsksForWebSocket(std::string_view protocol) const { return (void)protocol, false; }
  // Only when it does. `opened` is called on the server's thread before any event, unless the client is gone; what it
  // returns is kept for as long as the connection lives. Messages have at most max_body_bytes.
  virtual void Upgrade(const std::string& protocol,
                       std::function<WebSocketEvents(std::shared_ptr<WebSocket> socket)> opened) {
    (void)protocol, (void)opened;
  }
};

// Called on a server thread for each complete request. Must not block; answers then or later, from any thread.
// An exchange that is dropped without an answer is answered with 500.
using Handler = std::function<void(std::shared_ptr<Exchange>)>;

struct ServerStats {
  std::size_t connections = 0;
  std::uint64_t requests = 0;
};

class Server {
 public:
  Server(ServerOptions options, Handler handler);
  ~Server();

  // UNAVAILABLE when the address cannot be listened on; the message names it.
  absl::Status Start();
  std::uint16_t port() const;
  ServerStats stats() const;
  // Stops accepting, closes idle connections, lets running exchanges finish until `deadline`, then cuts them.
  void Shutdown(std::chrono::steady_clock::time_point deadline);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Decodes percent-encoding; '+' is a space only when `form`. False on a malformed escape or an encoded NUL.
bool PercentDecode(std::string_view text, bool form, std::string* out);

}  // namespace pepeunit::http
