#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace pepeunit::graph_registry {

struct WebRequest {
  std::string url;
  std::string form{};            // application/x-www-form-urlencoded; with it a POST, else a GET
  std::string user{}, secret{};  // HTTP Basic, when there is a user
};

struct WebAnswer {
  int status = 0;
  std::string body;  // of at most 1 MiB
};

// The port to programs on the web. Thread-safe; waits for the answer.
class Web {
 public:
  virtual ~Web() = default;
  // UNAVAILABLE when there is no answer in time, the certificate is wrong, or the answer is too large. Redirections are
  // answers, not followed.
  virtual absl::StatusOr<WebAnswer> Fetch(const WebRequest& request) = 0;
};

// By libcurl.
class CurlWeb final : public Web {
 public:
  CurlWeb();
  absl::StatusOr<WebAnswer> Fetch(const WebRequest& request) override;
};

// Whether a secret may be sent there: https, or http to this machine itself.
bool IsSafeUrl(const std::string& url);

std::string PercentEncode(const std::string& text);  // all but the unreserved characters of RFC 3986

}  // namespace pepeunit::graph_registry
