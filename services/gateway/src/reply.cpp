#include "reply.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "pepeunit/base/errors.h"
#include "pepeunit/base/log.h"
#include "pepeunit/http/problem.h"

namespace pepeunit::gateway {
namespace {

const prometheus::Histogram::BucketBoundaries kSeconds{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                                       0.25,  0.5,    1,     2.5,  5,     10,   30};

// Counted by name, so that made-up verbs make no time series.
std::string VerbLabel(std::string_view verb) {
  for (std::string_view known : {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}) {
    if (verb == known) return std::string(verb);
  }
  return "other";
}

// https://prometheus.io/docs/prometheus/2.42/querying/api/#format-overview
void ToPrometheus(const absl::Status& status, http::Response* response) {
  const char* type = "internal";
  if (status.code() == absl::StatusCode::kFailedPrecondition) {
    response->status = 422;
    type = "execution";
  } else if (status.code() == absl::StatusCode::kCancelled || status.code() == absl::StatusCode::kDeadlineExceeded) {
    response->status = 503;
    type = status.code() == absl::StatusCode::kCancelled ? "canceled" : "timeout";
  } else if (response->status == 404) {
    type = "not_found";
  } else if (response->status >= 400 && response->status < 500 && response->status != 429) {
    type = "bad_data";
  }
  std::string what(status.message());
  for (const auto& violation : InfoOf(status).violations)
    what = "invalid parameter \"" + violation.field + "\": " + violation.description;
  response->content_type = "application/json";
  response->body = nlohmann::json({{"status", "error"}, {"errorType", type}, {"error", what}})
                       .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

Edge::Edge(prometheus::Registry& registry, std::size_t most_in_flight, std::set<std::string> allowed_origins,
           std::size_t most_streams)
    : max_in_flight(most_in_flight),
      max_streams(most_streams),
      origins(std::move(allowed_origins)),
      requests(prometheus::BuildCounter()
                   .Name("pepeunit_http_requests_total")
                   .Help("HTTP requests by verb, route and status")
                   .Register(registry)),
      seconds(prometheus::BuildHistogram()
                  .Name("pepeunit_http_seconds")
                  .Help("Time from a request's arrival to the end of its answer, by route")
                  .Register(registry)),
      in_flight_gauge(prometheus::BuildGauge()
                          .Name("pepeunit_http_in_flight")
                          .Help("HTTP requests being answered")
                          .Register(registry)
                          .Add({})),
      streams_gauge(prometheus::BuildGauge()
                        .Name("pepeunit_http_streams")
                        .Help("Streams of events being sent")
                        .Register(registry)
                        .Add({})) {}

Reply::Reply(Edge& edge, std::shared_ptr<http::Exchange> exchange) : edge_(edge), exchange_(std::move(exchange)) {
  overloaded_ = ++edge_.in_flight > edge_.max_in_flight;
  edge_.in_flight_gauge.Increment();
}

Reply::~Reply() {
  --(stream_ ? edge_.streams : edge_.in_flight);
  (stream_ ? edge_.streams_gauge : edge_.in_flight_gauge).Decrement();
  const std::string verb = VerbLabel(exchange_->method());
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin_;
  edge_.requests.Add({{"verb", verb}, {"route", route_}, {"status", std::to_string(status_)}}).Increment();
  edge_.seconds.Add({{"route", route_}}, kSeconds).Observe(taken.count());
  const TraceScope scope(exchange_->trace());
  log::Debug("request", {{"verb", verb}, {"route", route_}, {"status", status_}, {"seconds", taken.count()}});
}

bool Reply::BecomeStream() {
  stream_ = true;
  --edge_.in_flight;
  edge_.in_flight_gauge.Decrement();
  edge_.streams_gauge.Increment();
  return ++edge_.streams <= edge_.max_streams;
}

void Reply::Send(http::Response response) {
  Finish(&response);
  exchange_->Respond(std::move(response));
}

void Reply::Refuse(const absl::Status& status, int http_status, http::Response extra) {
  http::Response response = http::Problem(status, exchange_->path(), exchange_->trace(), http_status);
  if (prometheus_) ToPrometheus(status, &response);
  std::move(extra.headers.begin(), extra.headers.end(), std::back_inserter(response.headers));
  response.headers.emplace_back("Cache-Control", "no-store");
  Send(std::move(response));
}

void Reply::StartStream(http::Response head, std::function<void(bool)> done) {
  Finish(&head);
  exchange_->StartStream(std::move(head), std::move(done));
}

void Reply::Finish(http::Response* response) {
  status_ = response->status;
  auto& headers = response->headers;
  const auto has = [&](const char* name) {
    return std::any_of(headers.begin(), headers.end(), [&](const auto& header) { return header.first == name; });
  };
  headers.emplace_back("X-Content-Type-Options", "nosniff");
  headers.emplace_back("Referrer-Policy", "no-referrer");
  headers.emplace_back("X-Trace-Id", exchange_->trace().TraceIdHex());
  if (!has("Content-Security-Policy")) {
    headers.emplace_back("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
  }
  if (edge_.origins.empty()) return;
  headers.emplace_back("Vary", "Origin");
  const std::string origin(exchange_->Header("Origin"));
  if (!edge_.origins.contains(origin)) return;
  headers.emplace_back("Access-Control-Allow-Origin", origin);
  headers.emplace_back("Access-Control-Expose-Headers", "ETag, Location, Retry-After, X-Trace-Id, Content-Disposition");
}

}  // namespace pepeunit::gateway
