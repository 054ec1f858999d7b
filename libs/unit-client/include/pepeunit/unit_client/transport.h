#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
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

// One HTTP request at a time. Not thread-safe.
class Transport {
 public:
  virtual ~Transport() = default;
  // POST of application/octet-stream with the token as bearer. An answer of more than `most` bytes is an error.
  virtual HttpAnswer Post(const std::string& url, const std::string& token, std::string_view body,
                          std::size_t most) = 0;
};

// libcurl with a kept connection: no redirects, http and https only, `timeout` for the whole of a request.
std::unique_ptr<Transport> MakeHttpTransport(std::chrono::milliseconds timeout);

}  // namespace pepeunit::unit_client
