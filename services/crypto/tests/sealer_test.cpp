#include "sealer.h"

#include <catch2/catch.hpp>
#include <set>

#include "memory_key_store.h"

using namespace pepeunit;
using namespace pepeunit::crypto;

namespace {

const std::string kContext = "graph.unit.env:0190163d-8694-739b-aea5-966c26f8ad91";

struct SealerFixture {
  MemoryKeyStore store;
  std::unique_ptr<KeyRing> ring = TestRing(store);
  Sealer sealer{*ring};
};

bool Refused(const absl::StatusOr<std::string>& opened) {
  return opened.status().code() == absl::StatusCode::kInvalidArgument &&
         InfoOf(opened.status()).reason == "INVALID_FIELD";
}

}  // namespace

TEST_CASE("what is sealed opens again with its context", "[U5][R4]") {
  SealerFixture f;
  std::string binary(256, '\0');
  for (std::size_t i = 0; i < binary.size(); ++i) binary[i] = static_cast<char>(i);
  for (const std::string& text :
       {std::string("x"), std::string("{\"WIFI_PASS\":\"\"}"), binary, std::string(Sealer::kMaxPlaintext, 'z')}) {
    const auto sealed = f.sealer.Seal(text, kContext);
    REQUIRE(sealed.ok());
    CHECK(sealed->size() == text.size() + Sealer::kOverhead);
    const auto opened = f.sealer.Open(*sealed, kContext);
    REQUIRE(opened.ok());
    CHECK(*opened == text);
  }
}

TEST_CASE("a sealed field begins with its format and key, and never repeats", "[U5]") {
  SealerFixture f;
  const std::uint32_t id = f.ring->Active(Purpose::kField)->id;
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(*f.sealer.Seal("same", kContext));
  CHECK(seen.size() == 1000);
  for (const std::string& sealed : seen) {
    REQUIRE(sealed[0] == 1);
    REQUIRE(sealed.substr(1, 4) == std::string{0, 0, 0, static_cast<char>(id)});
  }
}

TEST_CASE("a ciphertext that was moved to another row or field does not open", "[R4][U5]") {
  SealerFixture f;
  const std::string sealed = *f.sealer.Seal("secret", kContext);
  for (const std::string& other : {std::string("graph.unit.env:0190163d-8694-739b-aea5-966c26f8ad92"),
                                   std::string("graph.unit.sync_key:0190163d-8694-739b-aea5-966c26f8ad91"),
                                   kContext + " ", kContext.substr(1), std::string("x")}) {
    CHECK(Refused(f.sealer.Open(sealed, other)));
  }
}

TEST_CASE("a change of any byte is noticed", "[U5]") {
  SealerFixture f;
  const std::string sealed = *f.sealer.Seal("a secret of some length", kContext);
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    for (const int bit : {0x01, 0x80}) {
      std::string changed = sealed;
      changed[i] = static_cast<char>(changed[i] ^ bit);
      INFO("byte " << i);
      CHECK(Refused(f.sealer.Open(changed, kContext)));
    }
  }
  for (std::size_t length = 0; length < sealed.size(); ++length) {
    CHECK(Refused(f.sealer.Open(sealed.substr(0, length), kContext)));
  }
  CHECK(Refused(f.sealer.Open(sealed + '\0', kContext)));
}

TEST_CASE("sizes are bounded", "[U5]") {
  SealerFixture f;
  CHECK(Refused(f.sealer.Seal("", kContext)));
  CHECK(Refused(f.sealer.Seal(std::string(Sealer::kMaxPlaintext + 1, 'x'), kContext)));
  CHECK(Refused(f.sealer.Seal("x", "")));
  CHECK(Refused(f.sealer.Seal("x", std::string(257, 'c'))));
  CHECK(f.sealer.Seal("x", std::string(256, 'c')).ok());
  CHECK(Refused(f.sealer.Open(std::string(Sealer::kMaxPlaintext + Sealer::kOverhead + 1, '\1'), kContext)));
}

TEST_CASE("an error shows nothing of the plaintext", "[U5]") {
  SealerFixture f;
  const auto opened = f.sealer.Open(*f.sealer.Seal("top-secret", kContext), "other");
  CHECK(opened.status().ToString().find("top-secret") == std::string::npos);
}

TEST_CASE("what an older key sealed still opens after another became active", "[U5]") {
  SealerFixture f;
  const std::string sealed = *f.sealer.Seal("old", kContext);
  for (StoredKey& key : f.store.keys) key.active = key.active && key.purpose != "field";
  const auto ring = TestRing(f.store);
  Sealer sealer(*ring);
  CHECK(*sealer.Open(sealed, kContext) == "old");
  CHECK(sealer.Seal("new", kContext)->substr(1, 4) != sealed.substr(1, 4));
}
