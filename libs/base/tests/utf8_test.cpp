#include "pepeunit/base/utf8.h"

#include <catch2/catch.hpp>

namespace pepeunit {

TEST_CASE("what is UTF-8 stays, and the rest is told from it") {
  for (const char* text :
       {"", "abc", "\xC3\xA4", "\xD1\x82\xD0\xB5", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "\xEF\xBF\xBD"}) {
    CHECK(IsUtf8(text));
    CHECK(ToUtf8(text, 100) == text);
  }
  // A lone byte, a cut sequence, overlong forms, a surrogate, beyond U+10FFFF.
  for (const char* text :
       {"\xFF", "\x80", "\xC3", "\xE2\x82", "\xC0\xAF", "\xE0\x80\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80"}) {
    CHECK_FALSE(IsUtf8(text));
    CHECK(IsUtf8(ToUtf8(text, 100)));
  }
  CHECK(ToUtf8("a\xFF"
               "b",
               100) ==
        "a\xEF\xBF\xBD"
        "b");
  CHECK(ToUtf8("\xD1\x82\xD0\xB5x", 2) == "\xD1\x82\xD0\xB5");
}

}  // namespace pepeunit
