#include "pepeunit/base/errors.h"

#include <catch2/catch.hpp>

using namespace pepeunit;

TEST_CASE("an error carries reason, fields and time") {
  const absl::Status status = WithRetryAfter(InvalidFields({{"name", "is empty"}, {"level", "is unknown"}}), 1500);
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  CHECK(std::string(status.message()) == "name: is empty; level: is unknown");
  const ErrorInfo info = InfoOf(status);
  CHECK(info.reason == "INVALID_FIELD");
  CHECK(info.retry_after_ms == 1500);
  REQUIRE(info.violations.size() == 2);
  CHECK(info.violations[1].field == "level");
}

TEST_CASE("a plain status has no information, and broken UTF-8 does not throw") {
  CHECK(InfoOf(absl::InternalError("x")).reason.empty());
  CHECK(InfoOf(InvalidField("\xff", "bad")).violations.size() == 1);
}

namespace {
absl::StatusOr<int> Half(int n) {
  if (n % 2 != 0) return InvalidField("n", "must be even");
  return n / 2;
}
absl::StatusOr<int> Quarter(int n) {
  PEPEUNIT_ASSIGN_OR_RETURN(const int half, Half(n));
  return Half(half);
}
}  // namespace

TEST_CASE("the macros pass values on and errors back") {
  CHECK(*Quarter(8) == 2);
  CHECK_FALSE(Quarter(6).ok());
}
