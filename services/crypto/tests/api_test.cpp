#include "api.h"

#include <catch2/catch.hpp>

#include "memory_key_store.h"

using namespace pepeunit;
using namespace pepeunit::crypto;

namespace {

struct ApiFixture {
  MemoryKeyStore store;
  std::unique_ptr<KeyRing> ring = TestRing(store);
  Sealer sealer{*ring};
  Passwords passwords{2};
  AccessTokens access_tokens{*ring};
  UnitTokens unit_tokens{*ring};
  Api api{sealer, passwords, access_tokens, unit_tokens};
};

}  // namespace

TEST_CASE("fields, passwords and tokens go through the API and back", "[U4][U5]") {
  ApiFixture f;
  v1::SealRequest seal;
  seal.set_plaintext("text");
  seal.set_context("a:b");
  v1::SealResponse sealed;
  REQUIRE(f.api.Seal(seal, sealed).ok());
  v1::OpenRequest open;
  open.set_ciphertext(sealed.ciphertext());
  open.set_context("a:b");
  v1::OpenResponse opened;
  REQUIRE(f.api.Open(open, opened).ok());
  CHECK(opened.plaintext() == "text");

  v1::HashPasswordRequest hash;
  hash.set_password("a long password");
  v1::HashPasswordResponse hashed;
  REQUIRE(f.api.HashPassword(hash, hashed).ok());
  v1::VerifyPasswordRequest verify;
  verify.set_password("a long password");
  verify.set_hash(hashed.hash());
  v1::VerifyPasswordResponse verified;
  REQUIRE(f.api.VerifyPassword(verify, verified).ok());
  CHECK(verified.matches());

  v1::IssueUnitTokenRequest issue;
  issue.set_unit_id(Uuid::New().ToString());
  issue.set_generation(3);
  v1::IssueUnitTokenResponse issued;
  REQUIRE(f.api.IssueUnitToken(issue, issued).ok());
  v1::OpenUnitTokenRequest token;
  token.set_token(issued.token());
  v1::OpenUnitTokenResponse claims;
  REQUIRE(f.api.OpenUnitToken(token, claims).ok());
  CHECK(claims.unit_id() == issue.unit_id());
  CHECK(claims.generation() == 3);

  v1::GetVerificationKeysResponse keys;
  REQUIRE(f.api.GetVerificationKeys({}, keys).ok());
  REQUIRE(keys.keys_size() == 1);
  CHECK(keys.keys(0).ed25519().size() == 32);
}

TEST_CASE("ids that are no UUIDs are named", "[U4]") {
  ApiFixture f;
  v1::IssueUnitTokenResponse token;
  v1::IssueUnitTokenRequest unit;
  for (const char* id : {"", "x", "00000000-0000-0000-0000-000000000000"}) {
    unit.set_unit_id(id);
    const absl::Status status = f.api.IssueUnitToken(unit, token);
    REQUIRE(InfoOf(status).violations.size() == 1);
    CHECK(InfoOf(status).violations[0].field == "unit_id");
  }
  v1::IssueAccessTokenRequest access;
  access.set_user_id(Uuid::New().ToString());
  access.set_session_id("x");
  access.set_lifetime_s(60);
  v1::IssueAccessTokenResponse issued;
  CHECK(InfoOf(f.api.IssueAccessToken(access, issued)).violations.at(0).field == "session_id");
}
