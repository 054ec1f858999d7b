#include "pepeunit/base/address.h"

#include <catch2/catch.hpp>

using namespace pepeunit;

TEST_CASE("addresses that one host or household has are one") {
  CHECK(AddressGroup("") == "");
  CHECK(AddressGroup("192.0.2.7") == "192.0.2.7");
  CHECK(AddressGroup("::ffff:192.0.2.7") == "192.0.2.7");
  CHECK(AddressGroup("2001:db8:1:2:3:4:5:6") == "2001:db8:1:2::/64");
  CHECK(AddressGroup("2001:db8:1:2::9") == AddressGroup("2001:db8:1:2:ffff::1"));
  CHECK(AddressGroup("2001:db8:1:3::9") != AddressGroup("2001:db8:1:2::9"));
  CHECK(AddressGroup(std::string(100, 'x')) == std::string(64, 'x'));
}
