#include "change_rate.h"

#include <catch2/catch.hpp>

#include "pepeunit/base/errors.h"

using namespace pepeunit;
using namespace pepeunit::gateway;

TEST_CASE("each user and each address without registration has a rate of changes, administrators have none") {
  ChangeRate rate(2, 3);
  rpc::Caller anna{.kind = rpc::Caller::Kind::kUser, .user_id = Uuid::New()}, ben = anna, root = anna, nobody, other;
  ben.user_id = Uuid::New();
  root.administrator = true;
  nobody.client_address = "2001:db8::1";
  other.client_address = "2001:db8:0:1::1";
  for (rpc::Caller* caller : {&anna, &ben, &nobody}) {
    for (int i = 0; i < 3; ++i) CHECK(rate.Take(*caller, 1'000).ok());
    const absl::Status refused = rate.Take(*caller, 1'000);
    CHECK(refused.code() == absl::StatusCode::kResourceExhausted);
    CHECK(InfoOf(refused).retry_after_ms == 500);
  }
  nobody.client_address = "2001:db8::2";  // the same network
  CHECK_FALSE(rate.Take(nobody, 1'000).ok());
  CHECK(rate.Take(other, 1'000).ok());
  for (int i = 0; i < 100; ++i) CHECK(rate.Take(root, 1'000).ok());
  CHECK(rate.Take(anna, 1'600).ok());
  CHECK_FALSE(rate.Take(anna, 1'600).ok());
  for (int i = 0; i < 3; ++i) CHECK(rate.Take(anna, 1'000'000).ok());
  CHECK_FALSE(rate.Take(anna, 1'000'000).ok());
}
