#include "pepeunit/envelope/envelope.h"

#include <catch2/catch.hpp>

#include "pepeunit/base/errors.h"

namespace pepeunit::envelope {
namespace {

const Uuid kUnit = *Uuid::Parse("018f2a10-7c3e-7b11-9a52-0c1d2e3f4a5b");
const std::string kText = R"({"output_variables":[{"age_ms":0,"values":{"cpu_load":0.4}}]})";

Keys KeysOf(char fill) { return Keys::Derive(AsBytes(std::string(32, fill))); }

std::string Request(const Keys& keys, std::uint64_t sequence, std::string_view text = kText) {
  std::string out;
  SealRequest(keys, kUnit, sequence, text, &out);
  return out;
}

void CheckRefused(const absl::StatusOr<Opened>& result) {
  REQUIRE(result.status().code() == absl::StatusCode::kInvalidArgument);
  CHECK(InfoOf(result.status()).reason == "BAD_ENVELOPE");
}

}  // namespace

TEST_CASE("a request comes out as it went in, at every length of padding", "[U1]") {
  const Keys keys = KeysOf('k');
  for (std::size_t length = 0; length <= 50; ++length) {
    const std::string text(length, 'x');
    const std::string sealed = Request(keys, 0x0102030405060708, text);
    CHECK(sealed.size() == kOverheadBytes + (length / 16 + 1) * 16);
    const auto opened = OpenRequest(keys, AsBytes(sealed));
    REQUIRE(opened.ok());
    CHECK(opened->plaintext == text);
    CHECK(opened->header.sequence == 0x0102030405060708);
    CHECK(opened->header.unit == kUnit);
    CHECK(AsText(opened->tag) == sealed.substr(sealed.size() - kTagBytes));
  }
}

TEST_CASE("the same text is sealed differently each time", "[U4]") {
  const Keys keys = KeysOf('k');
  CHECK(Request(keys, 7) != Request(keys, 7));
}

TEST_CASE("a change of any bit of a request is refused", "[U4]") {
  const Keys keys = KeysOf('k');
  const std::string sealed = Request(keys, 7);
  for (std::size_t at = 0; at < sealed.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = sealed;
      changed[at] = static_cast<char>(changed[at] ^ (1 << bit));
      CheckRefused(OpenRequest(keys, AsBytes(changed)));
    }
  }
}

TEST_CASE("a request cut at any length, or with anything appended, is refused", "[U4]") {
  const Keys keys = KeysOf('k');
  const std::string sealed = Request(keys, 7);
  for (std::size_t length = 0; length < sealed.size(); ++length) {
    CheckRefused(OpenRequest(keys, AsBytes(sealed.substr(0, length))));
  }
  for (std::size_t more = 1; more <= 32; ++more) {
    CheckRefused(OpenRequest(keys, AsBytes(sealed + std::string(more, '\0'))));
  }
}

TEST_CASE("another unit's key does not open a request", "[U4]") {
  CheckRefused(OpenRequest(KeysOf('j'), AsBytes(Request(KeysOf('k'), 7))));
}

TEST_CASE("an answer opens with the tag of its own request only", "[U4]") {
  const Keys keys = KeysOf('k');
  const auto first = OpenRequest(keys, AsBytes(Request(keys, 7)));
  const auto second = OpenRequest(keys, AsBytes(Request(keys, 7)));
  REQUIRE(first.ok());
  REQUIRE(second.ok());
  std::string answer;
  SealAnswer(keys, kUnit, 7, first->tag, "{}", &answer);
  const auto opened = OpenAnswer(keys, first->tag, AsBytes(answer));
  REQUIRE(opened.ok());
  CHECK(opened->plaintext == "{}");
  CHECK(opened->header.kind == Kind::kAnswer);
  CheckRefused(OpenAnswer(keys, second->tag, AsBytes(answer)));
}

TEST_CASE("a change of any bit of an answer is refused", "[U4]") {
  const Keys keys = KeysOf('k');
  const Tag tag{};
  std::string answer;
  SealAnswer(keys, kUnit, 7, tag, "{}", &answer);
  for (std::size_t at = 0; at < answer.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = answer;
      changed[at] = static_cast<char>(changed[at] ^ (1 << bit));
      CheckRefused(OpenAnswer(keys, tag, AsBytes(changed)));
    }
  }
}

TEST_CASE("an envelope does not open in the other direction", "[U4]") {
  const Keys keys = KeysOf('k');
  std::string answer;
  SealAnswer(keys, kUnit, 7, Tag{}, "{}", &answer);
  CheckRefused(OpenRequest(keys, AsBytes(answer)));
  CheckRefused(OpenAnswer(keys, Tag{}, AsBytes(Request(keys, 7))));
  answer[3] = static_cast<char>(Kind::kRequest);  // passed off as a request
  CheckRefused(OpenRequest(keys, AsBytes(answer)));
}

TEST_CASE("the header is read without keys", "[U1]") {
  const auto header = Peek(AsBytes(Request(KeysOf('k'), 9)));
  REQUIRE(header.ok());
  CHECK(header->kind == Kind::kRequest);
  CHECK(header->unit == kUnit);
  CHECK(header->sequence == 9);
}

TEST_CASE("sealing reuses the memory of its output", "[U1]") {
  const Keys keys = KeysOf('k');
  std::string out;
  SealRequest(keys, kUnit, 1, std::string(1000, 'x'), &out);
  const char* memory = out.data();
  SealRequest(keys, kUnit, 2, kText, &out);
  CHECK(out.data() == memory);
  const auto opened = OpenRequest(keys, AsBytes(out));
  REQUIRE(opened.ok());
  CHECK(opened->plaintext == kText);
}

}  // namespace pepeunit::envelope
