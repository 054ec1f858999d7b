#include <cryptopp/donna.h>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <optional>

#include "access_token.h"
#include "authenticator.h"
#include "pepeunit/base/bytes.h"
#include "pepeunit/base/errors.h"

using namespace pepeunit;
using namespace pepeunit::gateway;
using nlohmann::json;

namespace {

constexpr std::int64_t kNow = 1'800'000'000;
constexpr char kUser[] = "01890000-0000-7000-8000-000000000001";
constexpr char kSession[] = "01890000-0000-7000-8000-000000000002";

struct Signer {
  std::string secret = std::string(32, 's'), key = std::string(32, '\0');

  Signer() { CryptoPP::Donna::ed25519_publickey(Raw(key), Raw(secret)); }
  static CryptoPP::byte* Raw(std::string& text) { return reinterpret_cast<CryptoPP::byte*>(text.data()); }

  std::string Token(const json& header, const json& claims) {
    std::string text = Base64UrlEncode(AsBytes(header.dump())) + '.' + Base64UrlEncode(AsBytes(claims.dump()));
    std::string signature(64, '\0');
    CryptoPP::Donna::ed25519_sign(Raw(text), text.size(), Raw(secret), Raw(key), Raw(signature));
    return text + '.' + Base64UrlEncode(AsBytes(signature));
  }
};

const PersonalTokens::Open kNoTokens = [](const std::string&, const PersonalTokens::OpenDone& done) {
  done(NotFound("token"));
};

json Header() { return {{"alg", "EdDSA"}, {"typ", "JWT"}, {"kid", "1"}}; }
json Claims() {
  return {{"iss", "pepeunit"}, {"sub", kUser},     {"sid", kSession},
          {"adm", true},       {"iat", kNow - 10}, {"exp", kNow + 10}};
}
json With(json object, const char* key, json value) {
  object[key] = std::move(value);
  return object;
}
json Without(json object, const char* key) {
  object.erase(key);
  return object;
}

}  // namespace

TEST_CASE("a good access token names its user") {
  Signer signer;
  const auto caller = VerifyAccessToken(signer.Token(Header(), Claims()), {{"1", signer.key}}, kNow);
  REQUIRE(caller.ok());
  CHECK(caller->kind == rpc::Caller::Kind::kUser);
  CHECK(caller->user_id.ToString() == kUser);
  CHECK(caller->session_id.ToString() == kSession);
  CHECK(caller->administrator);
}

TEST_CASE("every other access token is refused") {
  Signer signer;
  const std::string good = signer.Token(Header(), Claims());
  const std::vector<std::string> bad = {
      "",
      "a.b",
      "a.b.c.d",
      good + "x",
      good.substr(0, good.rfind('.') + 1),
      good + '=',
      signer.Token(With(Header(), "alg", "none"), Claims()),
      signer.Token(With(Header(), "alg", "HS256"), Claims()),
      signer.Token(With(Header(), "alg", "eddsa"), Claims()),
      signer.Token(With(Header(), "typ", "pepeunit-unit"), Claims()),
      signer.Token(With(Header(), "crit", json::array({"x"})), Claims()),
      signer.Token(With(Header(), "kid", "2"), Claims()),
      signer.Token(With(Header(), "kid", 1), Claims()),
      signer.Token(Without(Header(), "kid"), Claims()),
      signer.Token(json::array(), Claims()),
      signer.Token(Header(), With(Claims(), "exp", kNow)),
      signer.Token(Header(), With(Claims(), "exp", "never")),
      signer.Token(Header(), With(Claims(), "exp", 1e300)),
      signer.Token(Header(), Without(Claims(), "exp")),
      signer.Token(Header(), With(Claims(), "iat", kNow + 3600)),
      signer.Token(Header(), With(Claims(), "iss", "other")),
      signer.Token(Header(), With(Claims(), "sub", "me")),
      signer.Token(Header(), Without(Claims(), "sid")),
      signer.Token(Header(), With(Claims(), "adm", "true")),
      signer.Token(Header(), With(Claims(), "pad", std::string(3000, 'x'))),
      Base64UrlEncode(AsBytes(With(Header(), "alg", "none").dump())) + '.' + Base64UrlEncode(AsBytes(Claims().dump())) +
          '.',
  };
  for (const std::string& token : bad) {
    CAPTURE(token.substr(0, 300));
    const auto caller = VerifyAccessToken(token, {{"1", signer.key}}, kNow);
    CHECK(caller.status().code() == absl::StatusCode::kUnauthenticated);
  }
  // Claims of one token under the signature of another.
  const std::string other = signer.Token(Header(), With(Claims(), "adm", false));
  const std::string mixed = other.substr(0, other.rfind('.')) + good.substr(good.rfind('.'));
  CHECK_FALSE(VerifyAccessToken(mixed, {{"1", signer.key}}, kNow).ok());
  Signer stranger;
  stranger.secret = std::string(32, 't');
  CHECK_FALSE(VerifyAccessToken(stranger.Token(Header(), Claims()), {{"1", signer.key}}, kNow).ok());
}

TEST_CASE("a signature has one form") {
  Signer signer;
  const std::string good = signer.Token(Header(), Claims());
  std::string signature = *Base64UrlDecode(good.substr(good.rfind('.') + 1));
  // s + L verifies in a careless implementation.
  static constexpr std::uint8_t kOrder[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7,
                                              0xa2, 0xde, 0xf9, 0xde, 0x14, 0,    0,    0,    0,    0,    0,
                                              0,    0,    0,    0,    0,    0,    0,    0,    0,    0x10};
  int carry = 0;
  for (std::size_t i = 0; i < 32; ++i) {
    const int sum = static_cast<std::uint8_t>(signature[32 + i]) + kOrder[i] + carry;
    signature[32 + i] = static_cast<char>(sum & 255);
    carry = sum >> 8;
  }
  const std::string forged = good.substr(0, good.rfind('.') + 1) + Base64UrlEncode(AsBytes(signature));
  CHECK_FALSE(VerifyAccessToken(forged, {{"1", signer.key}}, kNow).ok());
}

TEST_CASE("keys are fetched once, again for unknown ones, and not too often") {
  Signer signer;
  std::int64_t now_ms = kNow * 1000;
  int fetches = 0;
  Authenticator::FetchDone pending;
  Authenticator authenticator(
      [&](Authenticator::FetchDone done) {
        ++fetches;
        pending = std::move(done);
      },
      kNoTokens, [&] { return now_ms; });
  std::vector<absl::StatusOr<rpc::Caller>> callers;
  const auto ask = [&](const std::string& header) {
    authenticator.Authenticate(header,
                               [&](absl::StatusOr<rpc::Caller> caller) { callers.push_back(std::move(caller)); });
  };
  const std::string good = "Bearer " + signer.Token(Header(), Claims());

  ask("");
  REQUIRE(callers.size() == 1);
  CHECK(callers[0]->kind == rpc::Caller::Kind::kAnonymous);
  ask("Basic abc");
  ask("Bearer");
  ask("Basic " + Base64Encode(AsBytes(std::string("no colon"))));
  CHECK(callers.size() == 4);
  CHECK(callers[1].status().code() == absl::StatusCode::kUnauthenticated);
  CHECK(callers[2].status().code() == absl::StatusCode::kUnauthenticated);
  CHECK(callers[3].status().code() == absl::StatusCode::kUnauthenticated);
  CHECK(fetches == 0);

  ask(good);
  ask("bearer" + good.substr(6));
  // The password of whoever knows nothing but Basic.
  ask("BASIC " + Base64Encode(AsBytes("anybody:" + good.substr(7))));
  CHECK(fetches == 1);
  CHECK(callers.size() == 4);
  pending(VerificationKeys{{"1", signer.key}});
  REQUIRE(callers.size() == 7);
  for (std::size_t i = 4; i < 7; ++i) CHECK(callers[i].ok());

  const std::string unknown = "Bearer " + signer.Token(With(Header(), "kid", "2"), Claims());
  ask(unknown);  // within 5 s: refused without asking
  CHECK(fetches == 1);
  CHECK(callers.back().status().code() == absl::StatusCode::kUnauthenticated);
  now_ms += 6'000;
  ask(unknown);
  CHECK(fetches == 2);
  ask(good);  // does not wait for the fetch
  CHECK(callers.back().ok());
  pending(VerificationKeys{{"2", signer.key}});
  CHECK(callers.size() == 10);
  CHECK(callers.back().ok());
  ask(good);  // its key was taken back
  CHECK(callers.back().status().code() == absl::StatusCode::kUnauthenticated);
}

TEST_CASE("keys are kept fresh in the background") {
  std::int64_t now_ms = kNow * 1000;
  int fetches = 0;
  absl::StatusOr<VerificationKeys> answer = Unavailable("away");
  Authenticator authenticator(
      [&](const Authenticator::FetchDone& done) {
        ++fetches;
        done(answer);
      },
      kNoTokens, [&] { return now_ms; });
  CHECK(authenticator.KeepFresh().code() == absl::StatusCode::kUnavailable);
  now_ms += 1'000;
  answer = VerificationKeys{{"1", std::string(32, 'k')}};
  CHECK(authenticator.KeepFresh().ok());
  CHECK(fetches == 2);
  now_ms += 59'000;
  CHECK(authenticator.KeepFresh().ok());
  CHECK(fetches == 2);
  now_ms += 1'000;
  answer = Unavailable("away");
  CHECK(authenticator.KeepFresh().ok());  // with the keys that it has
  CHECK(fetches == 3);
  now_ms += 1'000;
  CHECK(authenticator.KeepFresh().ok());
  CHECK(fetches == 3);
  now_ms += 4'000;
  CHECK(authenticator.KeepFresh().ok());
  CHECK(fetches == 4);
}

TEST_CASE("without keys a token can be neither taken nor refused") {
  Signer signer;
  std::int64_t now_ms = kNow * 1000;
  Authenticator authenticator([](const Authenticator::FetchDone& done) { done(Unavailable("away")); }, kNoTokens,
                              [&] { return now_ms; });
  for (int i = 0; i < 2; ++i) {
    std::optional<absl::StatusCode> code;
    authenticator.Authenticate("Bearer " + signer.Token(Header(), Claims()),
                               [&](const absl::StatusOr<rpc::Caller>& caller) { code = caller.status().code(); });
    CHECK(code == absl::StatusCode::kUnavailable);
  }
}
