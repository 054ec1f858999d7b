#include "pepeunit/http/problem.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "pepeunit/base/errors.h"

using namespace pepeunit;

TEST_CASE("an error becomes problem+json with its fields and its time") {
  const auto trace = TraceContext::New();
  const auto response =
      http::Problem(WithRetryAfter(InvalidFields({{"name", "is empty"}}), 1200), "/api/v1/units", trace);
  CHECK(response.status == 400);
  CHECK(response.content_type == "application/problem+json");
  const auto body = nlohmann::json::parse(response.body);
  CHECK(body["type"] == "https://pepeunit.dev/problems/invalid-field");
  CHECK(body["status"] == 400);
  CHECK(body["reason"] == "INVALID_FIELD");
  CHECK(body["instance"] == "/api/v1/units");
  CHECK(body["trace_id"] == trace.TraceIdHex());
  CHECK(body["errors"] == nlohmann::json::parse(R"([{"field": "name", "detail": "is empty"}])"));
  REQUIRE(response.headers.size() == 1);
  CHECK(response.headers[0] == std::pair<std::string, std::string>("Retry-After", "2"));
}

TEST_CASE("codes map to HTTP statuses") {
  CHECK(http::HttpStatusOf(NotFound("unit")) == 404);
  CHECK(http::HttpStatusOf(Forbidden("no")) == 403);
  CHECK(http::HttpStatusOf(Limit("full")) == 429);
  CHECK(http::HttpStatusOf(Unavailable("away")) == 503);
  CHECK(http::HttpStatusOf(Internal("x")) == 500);
  CHECK(http::HttpStatusOf(Error(absl::StatusCode::kFailedPrecondition, "VERSION_MISMATCH", "x")) == 412);
  CHECK(http::HttpStatusOf(Error(absl::StatusCode::kFailedPrecondition, "IN_USE", "x")) == 409);
}

TEST_CASE("percent-decoding") {
  std::string out;
  CHECK(http::PercentDecode("a%20b+c", false, &out));
  CHECK(out == "a b+c");
  CHECK(http::PercentDecode("a+b", true, &out));
  CHECK(out == "a b");
  CHECK_FALSE(http::PercentDecode("%", false, &out));
  CHECK_FALSE(http::PercentDecode("%2", false, &out));
  CHECK_FALSE(http::PercentDecode("%zz", false, &out));
  CHECK_FALSE(http::PercentDecode("%00", false, &out));
}
