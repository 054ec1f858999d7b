#include "openid_provider.h"

#include <cryptopp/donna.h>

#include <catch2/catch.hpp>

#include "pepeunit/base/bytes.h"
#include "pepeunit/base/errors.h"
#include "world.h"

using namespace pepeunit;
using namespace pepeunit::graph_registry;
using nlohmann::json;

namespace {

// A provider on the web, with one Ed25519 key.
struct MemoryWeb final : Web {
  std::string secret = RandomBytes(32), key = std::string(32, '\0');
  std::string key_id = "1";
  json document = {{"issuer", "https://id.example"},
                   {"authorization_endpoint", "https://id.example/auth?x=1"},
                   {"token_endpoint", "https://id.example/token"},
                   {"jwks_uri", "https://id.example/keys"}};
  json claims;
  WebAnswer token{200, ""};
  std::vector<WebRequest> requests;
  bool down = false;

  MemoryWeb() {
    CryptoPP::Donna::ed25519_publickey(reinterpret_cast<CryptoPP::byte*>(key.data()),
                                       reinterpret_cast<const CryptoPP::byte*>(secret.data()));
  }
  absl::StatusOr<WebAnswer> Fetch(const WebRequest& request) override {
    requests.push_back(request);
    if (down) return Unavailable("down");
    if (request.url.ends_with("/.well-known/openid-configuration")) return WebAnswer{200, document.dump()};
    if (request.url.ends_with("/keys")) {
      const json jwk = {{"kty", "OKP"}, {"crv", "Ed25519"}, {"kid", key_id}, {"x", Base64UrlEncode(AsBytes(key))}};
      return WebAnswer{200, json{{"keys", {jwk}}}.dump()};
    }
    if (!token.body.empty()) return token;
    return WebAnswer{200, json{{"id_token", Sign()}}.dump()};
  }
  std::string Sign() const {
    const std::string text = Base64UrlEncode(AsBytes(json{{"alg", "EdDSA"}, {"kid", key_id}}.dump())) + '.' +
                             Base64UrlEncode(AsBytes(claims.dump()));
    std::string signature(64, '\0');
    const auto* raw = reinterpret_cast<const CryptoPP::byte*>(secret.data());
    CryptoPP::Donna::ed25519_sign(reinterpret_cast<const CryptoPP::byte*>(text.data()), text.size(), raw,
                                  reinterpret_cast<const CryptoPP::byte*>(key.data()),
                                  reinterpret_cast<CryptoPP::byte*>(signature.data()));
    return text + '.' + Base64UrlEncode(AsBytes(signature));
  }
  std::size_t Asked(const std::string& end) const {
    std::size_t count = 0;
    for (const WebRequest& request : requests) count += request.url.ends_with(end) ? 1 : 0;
    return count;
  }
};

struct WebWorld {
  std::int64_t now_ms = 1'800'000'000'000;
  MemoryWeb web;
  OpenIdProvider provider{{.name = "web",
                           .title = "Web",
                           .issuer = "https://id.example",
                           .client_id = "pepe unit",
                           .client_secret = "s:cret",
                           .scopes = "openid profile"},
                          "https://pepeunit.example/api/oidc/callback",
                          web,
                          [this] { return now_ms; }};
  OidcSecrets secrets{.state = "the-state", .nonce = "the-nonce", .verifier = std::string(43, 'v')};

  WebWorld() {
    web.claims = {{"iss", "https://id.example"}, {"aud", "pepe unit"},         {"sub", "7"},
                  {"nonce", "the-nonce"},        {"exp", now_ms / 1000 + 300}, {"iat", now_ms / 1000}};
  }
  absl::StatusOr<OidcPerson> Redeem(const std::string& iss = "") {
    return provider.Redeem({.code = "c&d", .iss = iss}, secrets);
  }
};

}  // namespace

TEST_CASE("a provider is asked as its document says, with state, nonce and PKCE", "[A5]") {
  WebWorld w;
  const auto url = w.provider.AuthorizationUrl(w.secrets);
  REQUIRE(url.status() == absl::OkStatus());
  const std::string challenge = Base64UrlEncode(AsBytes(Sha256(AsBytes(w.secrets.verifier))));
  CHECK(*url ==
        "https://id.example/auth?x=1&response_type=code&client_id=pepe%20unit"
        "&redirect_uri=https%3A%2F%2Fpepeunit.example%2Fapi%2Foidc%2Fcallback&scope=openid%20profile"
        "&state=the-state&nonce=the-nonce&code_challenge=" +
            challenge + "&code_challenge_method=S256");
  const auto person = w.Redeem();
  REQUIRE(person.status() == absl::OkStatus());
  CHECK(person->issuer == "https://id.example");
  CHECK(person->subject == "7");
  const WebRequest& request = w.web.requests[1];
  CHECK(request.url == "https://id.example/token");
  CHECK(request.form ==
        "grant_type=authorization_code&code=c%26d"
        "&redirect_uri=https%3A%2F%2Fpepeunit.example%2Fapi%2Foidc%2Fcallback&code_verifier=" +
            w.secrets.verifier);
  CHECK(request.user == "pepe%20unit");
  CHECK(request.secret == "s%3Acret");
  REQUIRE(w.Redeem().ok());
  CHECK(w.web.Asked("openid-configuration") == 1);
  CHECK(w.web.Asked("/keys") == 1);
}

TEST_CASE("a provider that wants the client's secret in the form gets it there", "[A5]") {
  WebWorld w;
  w.web.document["token_endpoint_auth_methods_supported"] = {"client_secret_post"};
  REQUIRE(w.Redeem().ok());
  CHECK(w.web.requests[1].user.empty());
  CHECK(w.web.requests[1].form.ends_with("&client_id=pepe%20unit&client_secret=s%3Acret"));
}

TEST_CASE("an answer of a provider that cannot be trusted signs nobody in", "[A5]") {
  {
    WebWorld w;
    w.web.claims["nonce"] = "another";
    CHECK(Reason(w.Redeem().status()) == "UNAUTHENTICATED");
  }
  {
    WebWorld w;
    CHECK(Reason(w.Redeem("https://other.example").status()) == "UNAUTHENTICATED");
    CHECK(w.Redeem("https://id.example").ok());
  }
  {
    WebWorld w;
    w.web.document["authorization_response_iss_parameter_supported"] = true;
    CHECK(Reason(w.Redeem().status()) == "UNAUTHENTICATED");
  }
  {
    WebWorld w;
    w.web.token = {400, R"({"error": "invalid_grant"})"};
    CHECK(Reason(w.Redeem().status()) == "UNAUTHENTICATED");
    w.web.token = {500, "oops"};
    CHECK(Reason(w.Redeem().status()) == "UNAVAILABLE");
    w.web.token = {200, "[]"};
    CHECK(Reason(w.Redeem().status()) == "UNAVAILABLE");
    w.web.token = {200, "{}"};
    CHECK(Reason(w.Redeem().status()) == "UNAUTHENTICATED");
  }
  const auto begins = [](const char* member, const json& value) {
    WebWorld w;
    w.web.document[member] = value;
    return Reason(w.provider.AuthorizationUrl(w.secrets).status());
  };
  CHECK(begins("issuer", "https://id.example/") == "UNAVAILABLE");
  CHECK(begins("token_endpoint", "http://id.example/token") == "UNAVAILABLE");
  CHECK(begins("authorization_endpoint", "javascript:alert(1)") == "UNAVAILABLE");
  CHECK(begins("jwks_uri", nullptr) == "UNAVAILABLE");
  CHECK(begins("code_challenge_methods_supported", {"plain"}) == "UNAVAILABLE");
  CHECK(begins("code_challenge_methods_supported", {"plain", "S256"}).empty());
}

TEST_CASE("a new key of a provider is found, and a provider that is away is not asked all the time", "[A5]") {
  WebWorld w;
  REQUIRE(w.Redeem().ok());
  w.web.key_id = "2";
  CHECK(Reason(w.Redeem().status()) == "UNAUTHENTICATED");  // within 30 s
  CHECK(w.web.Asked("/keys") == 1);
  w.now_ms += 31'000;
  CHECK(w.Redeem().ok());
  CHECK(w.web.Asked("/keys") == 2);
  w.now_ms += 3'600'000;
  w.web.down = true;
  CHECK(Reason(w.provider.AuthorizationUrl(w.secrets).status()) == "UNAVAILABLE");
  const std::size_t asked = w.web.requests.size();
  CHECK(Reason(w.provider.AuthorizationUrl(w.secrets).status()) == "UNAVAILABLE");
  CHECK(w.web.requests.size() == asked);
  w.web.down = false;
  w.now_ms += 2'001;
  CHECK(w.provider.AuthorizationUrl(w.secrets).ok());
}

TEST_CASE("secrets go over https only, or to this machine", "[A5]") {
  for (const char* good : {"https://a.example", "https://a.example:8443/x?y", "http://127.0.0.1:80/x",
                           "http://localhost/x", "http://[::1]:1/"}) {
    CAPTURE(good);
    CHECK(IsSafeUrl(good));
  }
  for (const char* bad :
       {"", "http://a.example", "http://localhost.example/", "http://127.0.0.1.example/", "http://127.0.0.1@a.example/",
        "https://", "https:///x", "https://u@a.example", "ftp://a", "file:///etc/passwd", "https://a.example/#x",
        "https://a b", "http://127.0.0.1\\@a.example/", "javascript:alert(1)"}) {
    CAPTURE(bad);
    CHECK_FALSE(IsSafeUrl(bad));
  }
}
