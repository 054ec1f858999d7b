#include "pepeunit/base/uuid.h"

#include <catch2/catch.hpp>
#include <set>

#include "pepeunit/base/bytes.h"

using namespace pepeunit;

TEST_CASE("a UUID round-trips through text and bytes") {
  const Uuid id = Uuid::New();
  CHECK(Uuid::Parse(id.ToString()) == id);
  CHECK(Uuid::FromBytes(id.ToBytes()) == id);
  CHECK(id.ToString()[14] == '7');
  const auto parsed = Uuid::Parse("0190163D-8694-739B-AEA5-966C26F8AD91");
  REQUIRE(parsed);
  CHECK(parsed->ToString() == "0190163d-8694-739b-aea5-966c26f8ad91");
}

TEST_CASE("malformed UUIDs are refused") {
  for (const char* text : {"", "0190163d8694739baea5966c26f8ad91", "0190163d-8694-739b-aea5-966c26f8ad9",
                           "0190163d-8694-739b-aea5-966c26f8ad9g", "{190163d-8694-739b-aea5-966c26f8ad91}"}) {
    CHECK_FALSE(Uuid::Parse(text));
  }
  CHECK_FALSE(Uuid::FromBytes("short"));
}

TEST_CASE("UUIDs made later sort later, and none repeats") {
  std::set<Uuid> seen;
  for (int i = 0; i < 1000; ++i) CHECK(seen.insert(Uuid::New()).second);
}

TEST_CASE("partitions are stable and even") {
  CHECK(PartitionOf(Uuid::New(), 1) == 0);
  // FNV-1a-64 of sixteen zero bytes is 0x88201fb960ff6465.
  CHECK(PartitionOf(Uuid{}, 1000) == 0x88201fb960ff6465ULL % 1000);
  int counts[4] = {};
  for (int i = 0; i < 4000; ++i) ++counts[PartitionOf(Uuid::New(), 4)];
  for (int count : counts) CHECK(count > 800);
}
