#include "negotiation.h"

#include <catch2/catch.hpp>

using namespace pepeunit::gateway;

TEST_CASE("Accept") {
  CHECK(Accepts("", "application/json"));
  CHECK(Accepts("*/*", "application/json"));
  CHECK(Accepts("text/html, application/*;q=0.1", "application/json"));
  CHECK(Accepts("Application/JSON; charset=utf-8", "application/json"));
  CHECK_FALSE(Accepts("text/html", "application/json"));
  CHECK_FALSE(Accepts("application/json;q=0, */*", "application/json"));
  CHECK_FALSE(Accepts("*/*;q=0.0", "application/json"));
  CHECK(Accepts("*/*;q=0, application/json", "application/json"));
}

TEST_CASE("Content-Type") {
  CHECK(IsJson("application/json"));
  CHECK(IsJson("Application/Json; Charset=UTF-8"));
  CHECK_FALSE(IsJson("application/json; charset=latin1"));
  CHECK_FALSE(IsJson("text/plain"));
  CHECK_FALSE(IsJson(""));
}

TEST_CASE("If-Match and If-None-Match") {
  CHECK(*IfMatchTag("") == "");
  CHECK(*IfMatchTag("*") == "");
  CHECK(*IfMatchTag("\"7-a\"") == "7-a");
  for (const char* bad : {"7", "W/\"7\"", "\"a\", \"b\"", "\"\"", "\"a b\"", "\"a\x01\""}) {
    CAPTURE(bad);
    CHECK_FALSE(IfMatchTag(bad).ok());
  }
  CHECK(NoneMatchNames("\"a\", W/\"b\"", "b"));
  CHECK(NoneMatchNames("*", "b"));
  CHECK_FALSE(NoneMatchNames("\"a\"", "b"));
  CHECK_FALSE(NoneMatchNames("", ""));
}

TEST_CASE("a file's name cannot leave its header or its folder", "[U6]") {
  CHECK(AttachmentNamed("unit 1.zip") == "attachment; filename=\"unit 1.zip\"");
  CHECK(AttachmentNamed("../../etc/passwd") == "attachment; filename=\"passwd\"");
  CHECK(AttachmentNamed("C:\\x.zip") == "attachment; filename=\"x.zip\"");
  CHECK(AttachmentNamed("") == "attachment; filename=\"download\"");
  CHECK(AttachmentNamed("a\"b\r\nX: y") == "attachment; filename=\"a_b__X_ y\"; filename*=UTF-8''a%22b%0D%0AX%3A%20y");
  CHECK(AttachmentNamed("\xD0\xB4.zip") == "attachment; filename=\"__.zip\"; filename*=UTF-8''%D0%B4.zip");
}

TEST_CASE("a range is one of bytes; of anything else all is sent") {
  const auto same = [](const std::optional<ByteRange>& range, std::optional<std::int64_t> first,
                       std::optional<std::int64_t> last) {
    return range && range->first == first && range->last == last;
  };
  CHECK(same(RangeOf("bytes=0-0"), 0, 0));
  CHECK(same(RangeOf(" bytes=10-99 "), 10, 99));
  CHECK(same(RangeOf("bytes=10-"), 10, std::nullopt));
  CHECK(same(RangeOf("bytes=-10"), std::nullopt, 10));
  for (const char* none : {"", "bytes", "bytes=", "bytes=-", "bytes=5-4", "bytes=--5", "bytes=a-b", "bytes=1-2,4-5",
                           "bytes=1", "lines=1-2", "bytes=+1-2", "bytes=99999999999999999999-"}) {
    CAPTURE(none);
    CHECK_FALSE(RangeOf(none));
  }
}
