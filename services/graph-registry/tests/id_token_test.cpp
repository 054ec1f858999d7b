#include "id_token.h"

#include <cryptopp/donna.h>
#include <cryptopp/eccrypto.h>
#include <cryptopp/oids.h>
#include <cryptopp/osrng.h>
#include <cryptopp/rsa.h>

#include <catch2/catch.hpp>

#include "pepeunit/base/bytes.h"

using namespace pepeunit;
using namespace pepeunit::graph_registry;
using nlohmann::json;

namespace {

constexpr std::int64_t kIdNow = 1'800'000'000;

CryptoPP::AutoSeededRandomPool& Dice() {
  static CryptoPP::AutoSeededRandomPool dice;
  return dice;
}

std::string BytesOf(const CryptoPP::Integer& number, std::size_t size) {
  std::string bytes(size, '\0');
  number.Encode(reinterpret_cast<CryptoPP::byte*>(bytes.data()), size);
  return bytes;
}

template <typename Signer>
std::string SignWith(const Signer& signer, const std::string& text) {
  std::string signature(signer.MaxSignatureLength(), '\0');
  signature.resize(signer.SignMessage(Dice(), reinterpret_cast<const CryptoPP::byte*>(text.data()), text.size(),
                                      reinterpret_cast<CryptoPP::byte*>(signature.data())));
  return signature;
}

// A provider with a key of each kind.
struct Provider {
  CryptoPP::RSA::PrivateKey rsa;
  CryptoPP::ECDSA<CryptoPP::ECP, CryptoPP::SHA256>::PrivateKey ec;
  std::string ed_secret = RandomBytes(32), ed_key = std::string(32, '\0');

  explicit Provider(unsigned rsa_bits = 2048) {
    rsa.GenerateRandomWithKeySize(Dice(), rsa_bits);
    ec.Initialize(Dice(), CryptoPP::ASN1::secp256r1());
    CryptoPP::Donna::ed25519_publickey(reinterpret_cast<CryptoPP::byte*>(ed_key.data()),
                                       reinterpret_cast<const CryptoPP::byte*>(ed_secret.data()));
  }

  json RsaKey() const {
    const auto text = [](const CryptoPP::Integer& n) {
      return Base64UrlEncode(AsBytes(BytesOf(n, n.MinEncodedSize())));
    };
    return {{"kty", "RSA"},
            {"kid", "r"},
            {"use", "sig"},
            {"alg", "RS256"},
            {"n", text(rsa.GetModulus())},
            {"e", text(rsa.GetPublicExponent())}};
  }
  json EcKey() const {
    CryptoPP::ECDSA<CryptoPP::ECP, CryptoPP::SHA256>::PublicKey key;
    ec.MakePublicKey(key);
    const auto& point = key.GetPublicElement();
    return {{"kty", "EC"},
            {"crv", "P-256"},
            {"kid", "e"},
            {"x", Base64UrlEncode(AsBytes(BytesOf(point.x, 32)))},
            {"y", Base64UrlEncode(AsBytes(BytesOf(point.y, 32)))}};
  }
  json EdKey() const {
    return {{"kty", "OKP"}, {"crv", "Ed25519"}, {"kid", "d"}, {"x", Base64UrlEncode(AsBytes(ed_key))}};
  }
  KeySet Keys() const { return Of({RsaKey(), EcKey(), EdKey()}); }
  static KeySet Of(const std::vector<json>& keys) {
    const auto set = KeySet::Parse(json{{"keys", keys}}.dump());
    REQUIRE(set.ok());
    return *set;
  }

  std::string Sign(const json& header, const json& claims) const {
    const std::string text = Base64UrlEncode(AsBytes(header.dump())) + '.' + Base64UrlEncode(AsBytes(claims.dump()));
    const std::string algorithm = header.value("alg", "");
    std::string signature;
    if (algorithm == "RS256") {
      signature = SignWith(CryptoPP::RSASS<CryptoPP::PKCS1v15, CryptoPP::SHA256>::Signer(rsa), text);
    } else if (algorithm == "ES256") {
      signature = SignWith(CryptoPP::ECDSA<CryptoPP::ECP, CryptoPP::SHA256>::Signer(ec), text);
    } else {
      signature.resize(64);
      CryptoPP::Donna::ed25519_sign(reinterpret_cast<const CryptoPP::byte*>(text.data()), text.size(),
                                    reinterpret_cast<const CryptoPP::byte*>(ed_secret.data()),
                                    reinterpret_cast<const CryptoPP::byte*>(ed_key.data()),
                                    reinterpret_cast<CryptoPP::byte*>(signature.data()));
    }
    return text + '.' + Base64UrlEncode(AsBytes(signature));
  }
};

const Provider& TheProvider() {
  static const Provider provider;
  return provider;
}

const IdTokenRules kIdRules{.issuer = "https://id.example", .client_id = "pepeunit", .nonce = "n-1", .now_s = kIdNow};

json IdHeader(const char* algorithm = "EdDSA", const char* key = "d") { return {{"alg", algorithm}, {"kid", key}}; }
json IdClaims() {
  return {{"iss", "https://id.example"},
          {"aud", "pepeunit"},
          {"sub", "anna-7"},
          {"nonce", "n-1"},
          {"exp", kIdNow + 300},
          {"iat", kIdNow - 1},
          {"preferred_username", "Anna"}};
}
json Changed(json object, const char* key, json value) {
  object[key] = std::move(value);
  return object;
}
json Lacking(json object, const char* key) {
  object.erase(key);
  return object;
}

absl::Status Verified(const std::string& token) {
  return VerifyIdToken(token, TheProvider().Keys(), kIdRules).status();
}

}  // namespace

TEST_CASE("an ID token of each allowed algorithm names its person", "[A5]") {
  for (const auto& [algorithm, key] : {std::pair("RS256", "r"), std::pair("ES256", "e"), std::pair("EdDSA", "d")}) {
    CAPTURE(algorithm);
    const auto claims =
        VerifyIdToken(TheProvider().Sign(IdHeader(algorithm, key), IdClaims()), TheProvider().Keys(), kIdRules);
    REQUIRE(claims.status() == absl::OkStatus());
    CHECK(claims->subject == "anna-7");
    CHECK(claims->preferred_username == "Anna");
  }
  // Without a key id the only key of the algorithm.
  CHECK(Verified(TheProvider().Sign({{"alg", "ES256"}}, IdClaims())).ok());
  CHECK(Verified(TheProvider().Sign(IdHeader(), Changed(IdClaims(), "aud", json::array({"pepeunit"})))).ok());
  CHECK(Verified(
            TheProvider().Sign(IdHeader(), Changed(Changed(IdClaims(), "aud", {"x", "pepeunit"}), "azp", "pepeunit")))
            .ok());
  CHECK(Verified(TheProvider().Sign(IdHeader(), Lacking(IdClaims(), "preferred_username"))).ok());
}

TEST_CASE("an ID token with another word in it is refused", "[A5]") {
  const std::vector<json> wrong = {
      Changed(IdClaims(), "iss", "https://other.example"),
      Changed(IdClaims(), "iss", "https://id.example/"),
      Lacking(IdClaims(), "iss"),
      Changed(IdClaims(), "aud", "other"),
      Changed(IdClaims(), "aud", {"pepeunit", "other"}),
      Changed(IdClaims(), "azp", "other"),
      Lacking(IdClaims(), "aud"),
      Changed(IdClaims(), "exp", kIdNow - 60),
      Changed(IdClaims(), "exp", "never"),
      Changed(IdClaims(), "exp", 1e300),
      Lacking(IdClaims(), "exp"),
      Changed(IdClaims(), "iat", kIdNow + 61),
      Lacking(IdClaims(), "iat"),
      Changed(IdClaims(), "nbf", kIdNow + 61),
      Changed(IdClaims(), "nonce", "n-2"),
      Changed(IdClaims(), "nonce", 1),
      Lacking(IdClaims(), "nonce"),
      Changed(IdClaims(), "sub", ""),
      Changed(IdClaims(), "sub", std::string(256, 'x')),
      Changed(IdClaims(), "sub", "a\nb"),
      Changed(IdClaims(), "sub", 7),
      Lacking(IdClaims(), "sub"),
      Changed(IdClaims(), "pad", std::string(20'000, 'x')),
      json::array(),
  };
  for (const json& claims : wrong) {
    CAPTURE(claims.dump().substr(0, 300));
    CHECK(absl::IsInvalidArgument(Verified(TheProvider().Sign(IdHeader(), claims))));
  }
}

TEST_CASE("an ID token that its provider did not sign so is refused", "[A5]") {
  const std::string good = TheProvider().Sign(IdHeader(), IdClaims());
  const std::string text = good.substr(0, good.rfind('.'));
  const auto unsigned_with = [](const json& header) {
    return Base64UrlEncode(AsBytes(header.dump())) + '.' + Base64UrlEncode(AsBytes(IdClaims().dump())) + '.';
  };
  for (const std::string& token :
       {std::string(), text, text + '.', good + 'A', good + ".x", '.' + good, unsigned_with({{"alg", "none"}}),
        TheProvider().Sign(IdHeader("HS256"), IdClaims()), TheProvider().Sign(IdHeader("RS512", "r"), IdClaims()),
        TheProvider().Sign(Changed(IdHeader(), "crit", json::array({"x"})), IdClaims()),
        TheProvider().Sign(Lacking(IdHeader(), "alg"), IdClaims())}) {
    CAPTURE(token.substr(0, 100));
    CHECK(absl::IsInvalidArgument(Verified(token)));
  }
  // The claims of one under the signature of another, for each algorithm.
  for (const auto& [algorithm, key] : {std::pair("RS256", "r"), std::pair("ES256", "e"), std::pair("EdDSA", "d")}) {
    const std::string one = TheProvider().Sign(IdHeader(algorithm, key), IdClaims());
    const std::string two = TheProvider().Sign(IdHeader(algorithm, key), Changed(IdClaims(), "sub", "ben"));
    CHECK(absl::IsInvalidArgument(Verified(two.substr(0, two.rfind('.')) + one.substr(one.rfind('.')))));
  }
  const Provider stranger;
  CHECK(absl::IsInvalidArgument(Verified(stranger.Sign(IdHeader("RS256", "r"), IdClaims()))));
  // A key that is not there may be new; one of another kind is not taken for it.
  CHECK(absl::IsNotFound(Verified(TheProvider().Sign(IdHeader("EdDSA", "new"), IdClaims()))));
  CHECK(absl::IsNotFound(Verified(TheProvider().Sign(IdHeader("RS256", "e"), IdClaims()))));
}

TEST_CASE("keys that are weak, ambiguous or for something else are of no use", "[A5]") {
  const auto with = [](const Provider& provider, const char* algorithm, const std::vector<json>& keys) {
    return VerifyIdToken(provider.Sign({{"alg", algorithm}}, IdClaims()), Provider::Of(keys), kIdRules).status();
  };
  const Provider& p = TheProvider();
  CHECK(with(p, "RS256", {p.RsaKey()}).ok());
  const Provider weak(1024);
  CHECK(absl::IsInvalidArgument(with(weak, "RS256", {weak.RsaKey()})));
  CHECK(absl::IsInvalidArgument(with(p, "EdDSA", {p.EdKey(), Changed(p.EdKey(), "kid", "d2")})));
  CHECK(absl::IsNotFound(with(p, "RS256", {Changed(p.RsaKey(), "use", "enc")})));
  CHECK(absl::IsNotFound(with(p, "RS256", {Changed(p.RsaKey(), "alg", "RS512")})));
  CHECK(absl::IsNotFound(with(p, "ES256", {Changed(p.EcKey(), "crv", "P-384")})));
  CHECK(absl::IsNotFound(with(p, "RS256", {Changed(p.RsaKey(), "n", "!")})));
  CHECK(absl::IsInvalidArgument(with(p, "RS256", {Changed(p.RsaKey(), "e", "AQ")})));
  CHECK(absl::IsInvalidArgument(with(p, "ES256", {Changed(p.EcKey(), "y", p.EcKey()["x"])})));
  for (const char* text : {"", "[]", "{}", "{\"keys\": 1}", "{\"keys\": ["}) CHECK_FALSE(KeySet::Parse(text).ok());
  CHECK(absl::IsNotFound(with(p, "RS256", {json("text"), json(1), json::object()})));
}
