#include "key_ring.h"

#include <catch2/catch.hpp>
#include <set>
#include <thread>

#include "ed25519.h"
#include "memory_key_store.h"

using namespace pepeunit;
using namespace pepeunit::crypto;

namespace {

constexpr Purpose kAllPurposes[] = {Purpose::kField, Purpose::kUnitToken, Purpose::kUnitSignature,
                                    Purpose::kAccessSignature};

bool Contains(const absl::Status& status, const std::string& text) {
  return std::string(status.message()).find(text) != std::string::npos;
}

}  // namespace

TEST_CASE("the first start makes one key for each purpose", "[R4][U5]") {
  MemoryKeyStore store;
  const auto ring = TestRing(store);
  REQUIRE(ring);
  std::set<std::uint32_t> ids;
  std::set<std::string> secrets;
  for (const Purpose purpose : kAllPurposes) {
    const DataKeyPtr key = ring->Active(purpose);
    REQUIRE(key);
    CHECK(key->purpose == purpose);
    CHECK(key->secret.size() == 32);
    ids.insert(key->id);
    secrets.insert(std::string(View(key->secret)));
  }
  CHECK(ids.size() == 4);
  CHECK(secrets.size() == 4);
  CHECK(ring->Active(Purpose::kField)->public_key.empty());
  const DataKeyPtr signing = ring->Active(Purpose::kAccessSignature);
  CHECK(signing->public_key == Ed25519PublicKey(signing->secret));
}

TEST_CASE("a stored key shows nothing of itself", "[R4]") {
  MemoryKeyStore store;
  const auto ring = TestRing(store);
  for (const StoredKey& row : store.keys) {
    for (const Purpose purpose : kAllPurposes) {
      CHECK(row.wrapped.find(View(ring->Active(purpose)->secret)) == std::string::npos);
    }
  }
}

TEST_CASE("replicas that start together and later starts agree on the keys", "[U5]") {
  MemoryKeyStore store;
  std::vector<std::unique_ptr<KeyRing>> rings(8);
  std::vector<std::thread> threads;
  for (auto& ring : rings) threads.emplace_back([&] { ring = TestRing(store); });
  for (auto& thread : threads) thread.join();
  rings.push_back(TestRing(store));
  CHECK(store.keys.size() == 4);
  for (const auto& ring : rings) {
    REQUIRE(ring);
    for (const Purpose purpose : kAllPurposes) {
      CHECK(ring->Active(purpose)->id == rings[0]->Active(purpose)->id);
      CHECK(View(ring->Active(purpose)->secret) == View(rings[0]->Active(purpose)->secret));
    }
  }
}

TEST_CASE("another master key is refused before anything is written", "[R4]") {
  MemoryKeyStore store;
  REQUIRE(TestRing(store));
  store.keys.pop_back();
  const auto other = KeyRing::Open(TestMaster('x'), store);
  CHECK(other.status().code() == absl::StatusCode::kFailedPrecondition);
  CHECK(Contains(other.status(), "PEPEUNIT_MASTER_KEY"));
  CHECK(Contains(other.status(), TestMaster('x').fingerprint()));
  CHECK(Contains(other.status(), TestMaster('m').fingerprint()));
  CHECK(store.keys.size() == 3);
}

TEST_CASE("a start waits for a store that does not answer yet, but not for ever") {
  MemoryKeyStore store;
  store.down = true;
  CHECK(KeyRing::OpenWaiting(TestMaster(), store, std::chrono::milliseconds(150)).status().code() ==
        absl::StatusCode::kUnavailable);
  std::thread recovery([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    const std::lock_guard lock(store.mutex);
    store.down = false;
  });
  CHECK(KeyRing::OpenWaiting(TestMaster(), store, std::chrono::seconds(30)).ok());
  recovery.join();
}

TEST_CASE("a damaged or moved key stops the start and is named", "[R4]") {
  MemoryKeyStore store;
  REQUIRE(TestRing(store));
  SECTION("a byte is changed") { store.keys[1].wrapped.back() = static_cast<char>(store.keys[1].wrapped.back() ^ 1); }
  SECTION("it lies in another row") { std::swap(store.keys[1].wrapped, store.keys[2].wrapped); }
  SECTION("it has another purpose") { store.keys[1].purpose = "field"; }
  const auto ring = KeyRing::Open(TestMaster(), store);
  CHECK(ring.status().code() == absl::StatusCode::kFailedPrecondition);
  CHECK(Contains(ring.status(), "data key"));
}

TEST_CASE("the text of a master key is checked and wiped", "[R4]") {
  for (const std::string& bad : {std::string(), std::string("short"), Base64Encode(AsBytes(std::string(31, 'k'))),
                                 Base64Encode(AsBytes(std::string(33, 'k'))), std::string(44, '!')}) {
    std::string text = bad;
    const auto key = MasterKey::FromBase64(text);
    CHECK(key.status().code() == absl::StatusCode::kInvalidArgument);
    CHECK((bad.empty() || !Contains(key.status(), bad)));
    CHECK(text.empty());
  }
  CHECK(TestMaster('a').fingerprint().size() == 16);
  CHECK(TestMaster('a').fingerprint() != TestMaster('b').fingerprint());
}

TEST_CASE("after the start the store is asked only for ids that are unknown, and not often") {
  MemoryKeyStore store;
  const auto ring = TestRing(store);
  const int loads = store.loads;
  store.down = true;
  CHECK(ring->Find(Purpose::kField, ring->Active(Purpose::kField)->id).ok());
  CHECK(ring->All(Purpose::kAccessSignature).size() == 1);
  for (std::uint32_t id = 100; id < 200; ++id) CHECK_FALSE(ring->Find(Purpose::kField, id).ok());
  CHECK(store.loads <= loads + 1);
  // A key of another purpose is no key for this one.
  CHECK_FALSE(ring->Find(Purpose::kField, ring->Active(Purpose::kUnitToken)->id).ok());
}

TEST_CASE("a key that another replica made is found on demand", "[U5]") {
  MemoryKeyStore store;
  const auto ring = TestRing(store);
  const std::uint32_t old_id = ring->Active(Purpose::kField)->id;
  for (StoredKey& key : store.keys) key.active = key.active && key.purpose != "field";
  const auto other = TestRing(store);
  const std::uint32_t new_id = other->Active(Purpose::kField)->id;
  REQUIRE(new_id != old_id);
  std::this_thread::sleep_for(std::chrono::milliseconds(1'050));
  store.down = true;
  CHECK(ring->Find(Purpose::kField, new_id).status().code() == absl::StatusCode::kUnavailable);
  std::this_thread::sleep_for(std::chrono::milliseconds(1'050));
  store.down = false;
  REQUIRE(ring->Find(Purpose::kField, new_id).ok());
  CHECK(ring->Find(Purpose::kField, old_id).ok());
  CHECK(ring->Active(Purpose::kField)->id == new_id);
  CHECK(ring->All(Purpose::kField).front()->id == new_id);
}
