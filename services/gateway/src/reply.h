#pragma once

#include <prometheus/registry.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "pepeunit/http/server.h"

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
template <typename T>
class Family;
}  // namespace prometheus

namespace pepeunit::gateway {

// What all answers share: metrics, the bound on requests in flight and the origins that CORS admits. Thread-safe.
struct Edge {
  Edge(prometheus::Registry& registry, std::size_t most_in_flight, std::set<std::string> allowed_origins,
       std::size_t most_streams = 1000);

  const std::size_t max_in_flight, max_streams;
  const std::set<std::string> origins;
  std::atomic<std::size_t> in_flight = 0, streams = 0;
  prometheus::Family<prometheus::Counter>& requests;
  prometheus::Family<prometheus::Histogram>& seconds;
  prometheus::Gauge &in_flight_gauge, &streams_gauge;
};

// The answer to one request: adds the headers that every answer has and counts it. Made when the request arrives and
// shared until it is answered; one thread at a time.
class Reply {
 public:
  Reply(Edge& edge, std::shared_ptr<http::Exchange> exchange);
  ~Reply();
  Reply(const Reply&) = delete;
  Reply& operator=(const Reply&) = delete;

  const http::Exchange& request() const { return *exchange_; }
  // One more request in flight than allowed.
  bool overloaded() const { return overloaded_; }
  // From here on it counts as a stream of events, which may take long, and not as a request in flight. False: one more
  // than allowed.
  bool BecomeStream();
  // The template of the route, for metrics: ids in it would make a time series each.
  void set_route(std::string route) { route_ = std::move(route); }

  // From here on errors are told in Prometheus' form.
  void SpeakPrometheus() { prometheus_ = true; }

  void Send(http::Response response);
  // As application/problem+json, or as Prometheus does; 0: the status of the code.
  void Refuse(const absl::Status& status, int http_status = 0, http::Response extra = {});
  // A body in pieces: the head, then Exchange::Write and Exchange::End through exchange().
  void StartStream(http::Response head, std::function<void(bool ok)> done);
  http::Exchange& exchange() { return *exchange_; }

 private:
  void Finish(http::Response* response);

  Edge& edge_;
  std::shared_ptr<http::Exchange> exchange_;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  std::string route_ = "none";
  bool overloaded_ = false, stream_ = false, prometheus_ = false;
  int status_ = 500;
};

}  // namespace pepeunit::gateway
