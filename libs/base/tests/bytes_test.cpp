#include "pepeunit/base/bytes.h"

#include <catch2/catch.hpp>

using namespace pepeunit;

TEST_CASE("hexadecimal round trip and refusals") {
  CHECK(HexEncode(AsBytes(std::string_view("\x00\xff\x1a", 3))) == "00ff1a");
  CHECK(HexDecode("00FF1a") == std::string("\x00\xff\x1a", 3));
  CHECK_FALSE(HexDecode("0"));
  CHECK_FALSE(HexDecode("0g"));
}

TEST_CASE("base64 agrees with the vectors of RFC 4648") {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, coded] : vectors) {
    CHECK(Base64Encode(AsBytes(plain)) == coded);
    CHECK(Base64Decode(coded) == std::string(plain));
  }
  CHECK(Base64UrlEncode(AsBytes("\xfb\xff")) == "-_8");
  CHECK(Base64UrlDecode("-_8") == std::string("\xfb\xff"));
}

TEST_CASE("base64 has one text for each value") {
  CHECK_FALSE(Base64Decode("Zg="));
  CHECK_FALSE(Base64Decode("Zh=="));  // the last four bits are not zero
  CHECK_FALSE(Base64Decode("Zg==\n"));
  CHECK_FALSE(Base64UrlDecode("Zh"));
  CHECK_FALSE(Base64UrlDecode("Zg=="));
  CHECK_FALSE(Base64UrlDecode("+/8"));
}

TEST_CASE("SHA-256 agrees with FIPS 180-4") {
  CHECK(HexEncode(AsBytes(Sha256(AsBytes("abc")))) ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("comparison and randomness") {
  CHECK(ConstantTimeEqual(AsBytes("same"), AsBytes("same")));
  CHECK_FALSE(ConstantTimeEqual(AsBytes("same"), AsBytes("sama")));
  CHECK_FALSE(ConstantTimeEqual(AsBytes("same"), AsBytes("sam")));
  CHECK(RandomBytes(32) != RandomBytes(32));
  CHECK(RandomBytes(1000).size() == 1000);
}
