#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <vector>

#include "access_tokens.h"
#include "ed25519.h"
#include "gcm.h"
#include "memory_key_store.h"
#include "unit_tokens.h"

using namespace pepeunit;
using namespace pepeunit::crypto;

namespace {

constexpr std::int64_t kNowMs = 1'700'000'000'999;

struct TokenFixture {
  MemoryKeyStore store;
  std::unique_ptr<KeyRing> ring = TestRing(store);
  AccessTokens access{*ring, [] { return kNowMs; }};
  UnitTokens units{*ring, [] { return kNowMs; }};
};

std::vector<std::string> Parts(const std::string& token) {
  const std::size_t first = token.find('.'), last = token.rfind('.');
  return {token.substr(0, first), token.substr(first + 1, last - first - 1), token.substr(last + 1)};
}

nlohmann::json Json(const std::string& part) { return nlohmann::json::parse(*Base64UrlDecode(part)); }

std::string Encode(const std::string& text) { return Base64UrlEncode(AsBytes(text)); }

bool Refused(const absl::StatusOr<UnitTokens::Opened>& opened) {
  return opened.status().code() == absl::StatusCode::kUnauthenticated;
}

}  // namespace

TEST_CASE("an access token is a JWT that the published key verifies") {
  TokenFixture f;
  const Uuid user = Uuid::New(), session = Uuid::New();
  const auto issued = f.access.Issue(user, session, true, 900);
  REQUIRE(issued.ok());
  CHECK(issued->expires_at_s == 1'700'000'900);
  const auto parts = Parts(issued->token);
  const auto keys = f.access.VerificationKeys();
  REQUIRE(keys.size() == 1);
  CHECK(Json(parts[0]) == nlohmann::json{{"alg", "EdDSA"}, {"typ", "JWT"}, {"kid", keys[0].id}});
  CHECK(Json(parts[1]) == nlohmann::json{{"iss", "pepeunit"},
                                         {"sub", user.ToString()},
                                         {"sid", session.ToString()},
                                         {"adm", true},
                                         {"iat", 1'700'000'000},
                                         {"exp", 1'700'000'900}});
  CHECK(Ed25519Verify(keys[0].ed25519, parts[0] + '.' + parts[1], *Base64UrlDecode(parts[2])));
  CHECK_FALSE(Ed25519Verify(keys[0].ed25519, parts[0] + '.' + parts[1] + 'A', *Base64UrlDecode(parts[2])));
}

TEST_CASE("the life of an access token is bounded") {
  TokenFixture f;
  for (const int lifetime : {0, -1, 3601}) {
    CHECK(f.access.Issue(Uuid::New(), Uuid::New(), false, lifetime).status().code() ==
          absl::StatusCode::kInvalidArgument);
  }
}

TEST_CASE("a unit's token opens to its unit and generation", "[U4]") {
  TokenFixture f;
  const Uuid unit = Uuid::New();
  for (const std::uint32_t generation : {0u, 1u, 4'294'967'295u}) {
    const auto token = f.units.Issue(unit, generation);
    REQUIRE(token.ok());
    CHECK(token->size() < UnitTokens::kMaxToken);
    const auto opened = f.units.Open(*token);
    REQUIRE(opened.ok());
    CHECK(opened->unit == unit);
    CHECK(opened->generation == generation);
  }
}

TEST_CASE("a unit's token has the header of the protocol and hides its claims", "[U4]") {
  TokenFixture f;
  const Uuid unit = Uuid::New();
  const auto parts = Parts(*f.units.Issue(unit, 7));
  const auto header = Json(parts[0]);
  CHECK(header["alg"] == "EdDSA");
  CHECK(header["enc"] == "A256GCM");
  CHECK(header["typ"] == "pepeunit-unit");
  CHECK(header["kid"] == std::to_string(f.ring->Active(Purpose::kUnitSignature)->id) + "." +
                             std::to_string(f.ring->Active(Purpose::kUnitToken)->id));
  CHECK(header.size() == 4);
  CHECK(Base64UrlDecode(parts[1])->find(unit.ToString()) == std::string::npos);
}

TEST_CASE("a token of an older generation still opens: whoever knows the current one refuses it", "[U4]") {
  TokenFixture f;
  const Uuid unit = Uuid::New();
  const std::string old = *f.units.Issue(unit, 1);
  REQUIRE(f.units.Issue(unit, 2).ok());
  CHECK(f.units.Open(old)->generation == 1);
}

TEST_CASE("a change of any character of a unit's token is noticed", "[U4]") {
  TokenFixture f;
  const std::string token = *f.units.Issue(Uuid::New(), 1);
  for (std::size_t i = 0; i < token.size(); ++i) {
    for (const char c : {'A', 'B', '.', '='}) {
      if (token[i] == c) continue;
      std::string changed = token;
      changed[i] = c;
      INFO("character " << i << " to " << c);
      CHECK(Refused(f.units.Open(changed)));
    }
  }
  for (std::size_t length = 0; length < token.size(); ++length) CHECK(Refused(f.units.Open(token.substr(0, length))));
  CHECK(Refused(f.units.Open(token + 'A')));
  CHECK(Refused(f.units.Open(token + ".A")));
  CHECK(Refused(f.units.Open(std::string(1025, '.'))));
  CHECK(Refused(f.units.Open("..")));
}

TEST_CASE("parts of two tokens do not make a third", "[U4]") {
  TokenFixture f;
  const auto a = Parts(*f.units.Issue(Uuid::New(), 1)), b = Parts(*f.units.Issue(Uuid::New(), 1));
  CHECK(Refused(f.units.Open(a[0] + '.' + b[1] + '.' + a[2])));
  CHECK(Refused(f.units.Open(a[0] + '.' + a[1] + '.' + b[2])));
}

TEST_CASE("another algorithm is refused even when the rest is genuine", "[U4]") {
  TokenFixture f;
  const DataKeyPtr signing = f.ring->Active(Purpose::kUnitSignature), encryption = f.ring->Active(Purpose::kUnitToken);
  const std::string kid = std::to_string(signing->id) + "." + std::to_string(encryption->id);
  const std::string claims = nlohmann::json{{"sub", Uuid::New().ToString()}, {"gen", 1}, {"iat", 1}}.dump();
  const auto make = [&](const nlohmann::json& header, const std::string& body) {
    const std::string encoded = Encode(header.dump());
    const std::string signed_part = encoded + '.' + Encode(GcmSeal(encryption->secret, encoded, body));
    return signed_part + '.' + Encode(Ed25519Sign(signing->secret, signing->public_key, signed_part));
  };
  const nlohmann::json good = {{"alg", "EdDSA"}, {"enc", "A256GCM"}, {"kid", kid}, {"typ", "pepeunit-unit"}};
  REQUIRE(f.units.Open(make(good, claims)).ok());
  const auto with = [&](const char* key, const nlohmann::json& value) {
    nlohmann::json header = good;
    header[key] = value;
    return header;
  };
  for (const auto& header :
       {with("alg", "none"), with("alg", "HS256"), with("alg", nullptr), with("enc", "none"), with("typ", "JWT"),
        with("kid", "9999.9999"), with("kid", "1"), with("kid", "1.2.3"), with("kid", "-1.2"), with("kid", 1),
        // The keys of other purposes are no keys for this.
        with("kid",
             std::to_string(f.ring->Active(Purpose::kAccessSignature)->id) + "." + std::to_string(encryption->id)),
        with("kid", std::to_string(signing->id) + "." + std::to_string(f.ring->Active(Purpose::kField)->id)),
        nlohmann::json::array({1, 2}), nlohmann::json("EdDSA")}) {
    INFO(header.dump());
    CHECK(Refused(f.units.Open(make(header, claims))));
  }
  for (const char* body : {"", "[]", "{}", R"({"sub":"x","gen":1,"iat":1})",
                           R"({"sub":"0190163d-8694-739b-aea5-966c26f8ad91","gen":-1,"iat":1})",
                           R"({"sub":"0190163d-8694-739b-aea5-966c26f8ad91","gen":4294967296,"iat":1})"}) {
    CHECK(Refused(f.units.Open(make(good, body))));
  }
  // Unsigned, as `alg: none` would have it.
  CHECK(Refused(f.units.Open(Encode(with("alg", "none").dump()) + '.' + Encode(claims) + '.')));
}

TEST_CASE("an access token is no unit token, and another instance's unit token is none of ours", "[U4]") {
  TokenFixture f, other;
  CHECK(Refused(f.units.Open(f.access.Issue(Uuid::New(), Uuid::New(), true, 60)->token)));
  CHECK(Refused(f.units.Open(*other.units.Issue(Uuid::New(), 1))));
}
