#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace pepeunit::unit_client {

struct HttpAnswer {
  bool sent = false;  // false: certain that no byte of the body has left
  std::string error;  // not empty when there is no whole answer: half a sentence
  int status = 0;
  std::chrono::seconds retry_after{0};
  std::string body;
};

// A WebSocket: whole messages both ways. Not thread-safe.
class Socket {
 public:
  struct Message {
    bool text = false;
    std::string data;
  };
  virtual ~Socket() = default;
  virtual void Send(std::string_view message) = 0;  // of bytes
  // The next message, if there is one within `most`; nullopt also when the connection is over.
  virtual std::optional<Message> Receive(std::chrono::milliseconds most) = 0;
  // Empty while the connection holds: half a sentence.
  virtual const std::string& over() const = 0;
  // Readable when there may be a message, after Receive() has found none.
  virtual int descriptor() const = 0;
};

struct SocketAnswer {
  std::unique_ptr<Socket> socket;
  std::string error;  // when there is none: half a sentence
};

// One HTTP request at a time. Not thread-safe.
class Transport {
 public:
  virtual ~Transport() = default;
  // POST of application/octet-stream with the token as bearer. An answer of more than `most` bytes is an error.
  virtual HttpAnswer Post(const std::string& url, const std::string& token, std::string_view body,
                          std::size_t most) = 0;
  // A WebSocket with the token as bearer, which speaks pepeunit.v1.
  virtual SocketAnswer Open(const std::string& url, const std::string& token) = 0;
};

// libcurl with a kept connection: no redirects, http and https only, `timeout` for the whole of a request. WebSockets
// (Boost.Beast) of http only.
std::unique_ptr<Transport> MakeHttpTransport(std::chrono::milliseconds timeout);

}  // namespace pepeunit::unit_client
