#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "pepeunit/base/errors.h"
#include "pepeunit/envelope/envelope.h"

// vectors.json was computed by make_vectors.py, which shares no code with this library.
namespace pepeunit::envelope {
namespace {

nlohmann::json Vectors() {
  std::ifstream file(std::string(PEPEUNIT_SOURCE_DIR) + "/libs/envelope/vectors.json");
  REQUIRE(file.good());
  return nlohmann::json::parse(file);
}

std::string Raw(const nlohmann::json& hex) { return HexDecode(hex.get<std::string>()).value(); }

Keys KeysOf(const nlohmann::json& vector) { return Keys::Derive(AsBytes(Raw(vector["sync_encrypt_key"]))); }

// An envelope is of the kind that its vector names, else of the usual one of its direction.
Kind KindOf(const nlohmann::json& side, Kind usual) {
  return side.contains("kind") ? static_cast<Kind>(side["kind"].get<int>()) : usual;
}

std::string PlaintextOf(const nlohmann::json& side) {
  return side.contains("plaintext_hex") ? Raw(side["plaintext_hex"]) : side["plaintext"].get<std::string>();
}

void CheckBad(const absl::StatusOr<Opened>& result) {
  REQUIRE_FALSE(result.ok());
  CHECK(InfoOf(result.status()).reason == "BAD_ENVELOPE");
}

}  // namespace

TEST_CASE("the published subkeys are derived", "[U4]") {
  const nlohmann::json all = Vectors();
  for (const auto& vector : all["vectors"]) {
    INFO(vector["name"]);
    const Keys keys = KeysOf(vector);
    CHECK(HexEncode(keys.request_encrypt) == vector["subkeys"]["request_encrypt"]);
    CHECK(HexEncode(keys.request_authenticate) == vector["subkeys"]["request_authenticate"]);
    CHECK(HexEncode(keys.answer_encrypt) == vector["subkeys"]["answer_encrypt"]);
    CHECK(HexEncode(keys.answer_authenticate) == vector["subkeys"]["answer_authenticate"]);
  }
}

TEST_CASE("the published envelopes open, as their own kind only", "[U1][U4][U10]") {
  const nlohmann::json all = Vectors();
  std::set<Kind> kinds;
  for (const auto& vector : all["vectors"]) {
    INFO(vector["name"]);
    const Keys keys = KeysOf(vector);
    const Kind asked = KindOf(vector["request"], Kind::kRequest), answered = KindOf(vector["answer"], Kind::kAnswer);
    const auto request = OpenRequest(keys, AsBytes(Raw(vector["request"]["envelope"])), asked);
    REQUIRE(request.ok());
    CHECK(request->plaintext == PlaintextOf(vector["request"]));
    CHECK(request->header.kind == asked);
    CHECK(request->header.unit.ToString() == vector["unit"]);
    CHECK(request->header.sequence == vector["sequence"].get<std::uint64_t>());
    const auto answer = OpenAnswer(keys, request->tag, AsBytes(Raw(vector["answer"]["envelope"])), answered);
    REQUIRE(answer.ok());
    CHECK(answer->plaintext == PlaintextOf(vector["answer"]));
    kinds.insert({asked, answered});
    for (const Kind other : {Kind::kRequest, Kind::kUpdateRequest}) {
      if (other != asked) CheckBad(OpenRequest(keys, AsBytes(Raw(vector["request"]["envelope"])), other));
    }
    for (const Kind other : {Kind::kAnswer, Kind::kUpdateAnswer, Kind::kFileBytes}) {
      if (other != answered)
        CheckBad(OpenAnswer(keys, request->tag, AsBytes(Raw(vector["answer"]["envelope"])), other));
    }
  }
  CHECK(kinds.size() == 5);
}

TEST_CASE("the published push opens under the answer that began it", "[U12]") {
  const auto vectors = Vectors();
  const auto& vector = vectors["vectors"][1];
  const Keys keys = KeysOf(vector);
  const std::string answer = Raw(vector["answer"]["envelope"]), push = Raw(vector["push"]["envelope"]);
  const auto opened = OpenAnswer(keys, TagOf(AsBytes(answer)), AsBytes(push), Kind::kPush);
  REQUIRE(opened.ok());
  CHECK(opened->plaintext == PlaintextOf(vector["push"]));
  CHECK(opened->header.sequence == vector["push"]["sequence"].get<std::uint64_t>());
  CheckBad(OpenAnswer(keys, TagOf(AsBytes(answer)), AsBytes(push), Kind::kAnswer));
  CheckBad(OpenAnswer(keys, TagOf(AsBytes(Raw(vector["request"]["envelope"]))), AsBytes(push), Kind::kPush));
}

TEST_CASE("the published bad envelopes are refused", "[U4]") {
  const auto vectors = Vectors();
  const auto& good = vectors["vectors"][1];
  const Keys keys = KeysOf(good);
  for (const auto& vector : vectors["refused"]) {
    INFO(vector["name"]);
    CheckBad(OpenRequest(keys, AsBytes(Raw(vector["envelope"]))));
  }
  const auto other = OpenRequest(keys, AsBytes(Raw(vectors["vectors"][0]["request"]["envelope"])));
  REQUIRE(other.ok());
  CheckBad(OpenAnswer(keys, other->tag, AsBytes(Raw(good["answer"]["envelope"]))));
}

}  // namespace pepeunit::envelope
