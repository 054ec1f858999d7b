#include "pepeunit/base/personal_token.h"

#include <catch2/catch.hpp>

using namespace pepeunit;

TEST_CASE("a personal token has the documented form, and no two are alike", "[A5]") {
  const std::string token = NewPersonalToken();
  CHECK(token.size() == 13 + 43 + 6);
  CHECK(token.starts_with("pepeunit_pat_"));
  CHECK(IsPersonalToken(token));
  CHECK(NewPersonalToken() != token);
}

TEST_CASE("the check sum of a personal token is zlib's CRC-32", "[A5]") {
  // Python: t = "pepeunit_pat_" + "A" * 43; base64.urlsafe_b64encode(zlib.crc32(t.encode()).to_bytes(4, "big"))
  const std::string body = "pepeunit_pat_" + std::string(43, 'A');
  CHECK(IsPersonalToken(body + "_aijaQ"));
  CHECK_FALSE(IsPersonalToken(body + "AAAAAA"));
}

TEST_CASE("what is changed anywhere is no personal token", "[A5]") {
  const std::string token = NewPersonalToken();
  for (std::size_t i = 0; i < token.size(); ++i) {
    std::string other = token;
    other[i] = other[i] == 'A' ? 'B' : 'A';
    CAPTURE(i);
    CHECK_FALSE(IsPersonalToken(other));
  }
  for (const std::string& other : {std::string(), std::string("pepeunit_pat_"), token.substr(1), token + 'A',
                                   token.substr(0, token.size() - 1), token + '\n'}) {
    CHECK_FALSE(IsPersonalToken(other));
  }
}

TEST_CASE("an invitation is no personal token, nor a secret for a new password", "[A5]") {
  const std::string invitation = NewSecretText(kInvitationPrefix);
  CHECK(invitation.starts_with("pepeunit_inv_"));
  CHECK(IsSecretText(kInvitationPrefix, invitation));
  CHECK_FALSE(IsSecretText(kResetPrefix, invitation));
  CHECK_FALSE(IsPersonalToken(invitation));
}
