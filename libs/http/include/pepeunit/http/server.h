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

  // Answers. Exactly one of Respond and StartStream, once, from any thread; later calls are ignored.
  virtual void Respond(Response response) = 0;

  // A body of unknown length (chunked). Each Write waits for `done` of the one before; `done(false)` means that the
  // client is gone. End(false) cuts the connection so that the client sees an incomplete body.
  virtual void StartStream(Response head, std::function<void(bool ok)> done) = 0;
  virtual void Write(std::string data, std::function<void(bool ok)> done) = 0;
  virtual void End(bool complete) = 0;
  // Before StartStream: `gone` is called once if the client closes the connection while the stream waits for its next
  // piece, on the server's thread. Without it that shows with the next Write.
  virtual void OnGone(std::function<void()> gone) { (void)gone; }
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
