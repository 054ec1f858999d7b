#include "semver.h"

#include <catch2/catch.hpp>

using namespace pepeunit::repo_sync;

TEST_CASE("tags are semantic versions, with or without v before them, or are not", "[U9]") {
  for (const char* tag : {"0.0.0", "1.2.3", "v1.2.3", "1.2.3-rc.1", "1.2.3-0.a-b.7", "1.2.3+build.01", "v1.0.0-x+y",
                          "99999999999999999999.0.0"}) {
    CAPTURE(tag);
    CHECK(ParseSemanticVersion(tag));
  }
  for (const char* tag :
       {"", "v", "1", "1.2", "1.2.3.4", "01.2.3", "1.02.3", "1.2.-3", "1.2.3-", "1.2.3-01", "1.2.3-a..b", "1.2.3+",
        "1.2.3+a_b", "vv1.2.3", "V1.2.3", "release-1.2.3", "1.2.x", " 1.2.3", "1.2.3 "}) {
    CAPTURE(tag);
    CHECK_FALSE(ParseSemanticVersion(tag));
  }
}

TEST_CASE("semantic versions have the order of section 11", "[U9]") {
  const char* const in_order[] = {"0.9.9",      "1.0.0-alpha",  "1.0.0-alpha.1", "1.0.0-alpha.beta",
                                  "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1",
                                  "1.0.0",      "1.0.2",        "1.0.10",        "1.2.0",
                                  "1.10.0",     "2.0.0",        "10.0.0",        "99999999999999999999.0.0"};
  for (std::size_t i = 0; i < std::size(in_order); ++i) {
    for (std::size_t j = 0; j < std::size(in_order); ++j) {
      CAPTURE(in_order[i], in_order[j]);
      CHECK((*ParseSemanticVersion(in_order[i]) < *ParseSemanticVersion(in_order[j])) == (i < j));
    }
  }
  CHECK_FALSE(*ParseSemanticVersion("1.0.0+a") < *ParseSemanticVersion("1.0.0+b"));
  CHECK_FALSE(*ParseSemanticVersion("1.0.0+b") < *ParseSemanticVersion("1.0.0+a"));
}
