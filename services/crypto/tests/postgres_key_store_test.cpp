#include "postgres_key_store.h"

#include <catch2/catch.hpp>
#include <thread>

#include "key_ring.h"
#include "memory_key_store.h"
#include "migrations.h"
#include "private_postgres.h"
#include "sealer.h"

using namespace pepeunit;
using namespace pepeunit::crypto;

namespace {

postgres::PrivatePostgres& Database() {
  static postgres::PrivatePostgres database;
  return database;
}

struct StoreFixture {
  std::string schema = Database().NewSchema();
  postgres::Pool pool{{.dsn = Database().dsn(), .schema = schema, .max_connections = 8}};
  PostgresKeyStore store{pool};

  StoreFixture() { REQUIRE(postgres::ApplyMigrations(pool, schema, kMigrations).ok()); }

  absl::Status Exec(const std::string& sql) {
    return pool.Transact("test", [&](pqxx::work& tx) {
      tx.exec(sql);
      return absl::OkStatus();
    });
  }
};

}  // namespace

TEST_CASE("keys in PostgreSQL are found again as they were", "[R4][U5]") {
  StoreFixture f;
  const auto ring = TestRing(f.store);
  REQUIRE(ring);
  const std::string sealed = *Sealer(*ring).Seal("text", "a:b");
  postgres::Pool other_pool({.dsn = Database().dsn(), .schema = f.schema});
  PostgresKeyStore other_store(other_pool);
  const auto other = TestRing(other_store);
  REQUIRE(other);
  CHECK(*Sealer(*other).Open(sealed, "a:b") == "text");
  const auto stored = f.store.Load();
  REQUIRE(stored.ok());
  CHECK(stored->size() == 4);
  for (const StoredKey& key : *stored) {
    CHECK(key.active);
    CHECK(key.master_fingerprint == TestMaster().fingerprint());
  }
}

TEST_CASE("replicas that start together on an empty database make one set of keys", "[U5]") {
  StoreFixture f;
  std::vector<std::unique_ptr<KeyRing>> rings(6);
  std::vector<std::thread> threads;
  for (auto& ring : rings) threads.emplace_back([&] { ring = TestRing(f.store); });
  for (auto& thread : threads) thread.join();
  CHECK(f.store.Load()->size() == 4);
  for (const auto& ring : rings) {
    REQUIRE(ring);
    CHECK(View(ring->Active(Purpose::kField)->secret) == View(rings[0]->Active(Purpose::kField)->secret));
  }
}

TEST_CASE("a wrapped key that was moved to another row stops the start", "[R4]") {
  StoreFixture f;
  REQUIRE(TestRing(f.store));
  REQUIRE(f.Exec("UPDATE data_key a SET wrapped = b.wrapped FROM data_key b WHERE a.purpose = 'field' AND b.purpose = "
                 "'unit_token'")
              .ok());
  CHECK(KeyRing::Open(TestMaster(), f.store).status().code() == absl::StatusCode::kFailedPrecondition);
}

TEST_CASE("a database of another master key is refused and left as it is", "[R4]") {
  StoreFixture f;
  REQUIRE(TestRing(f.store));
  REQUIRE(f.Exec("DELETE FROM data_key WHERE purpose = 'field'").ok());
  CHECK(KeyRing::Open(TestMaster('x'), f.store).status().code() == absl::StatusCode::kFailedPrecondition);
  CHECK(f.store.Load()->size() == 3);
}

TEST_CASE("there is one active key for each purpose, and ids are not used again", "[U5]") {
  StoreFixture f;
  REQUIRE(TestRing(f.store));
  CHECK(
      f.Exec("INSERT INTO data_key SELECT id + 100, purpose, wrapped, master_fingerprint, active FROM data_key LIMIT 1")
          .code() == absl::StatusCode::kAlreadyExists);
  const std::uint32_t last = f.store.Load()->back().id;
  REQUIRE(f.Exec("DELETE FROM data_key").ok());
  REQUIRE(TestRing(f.store));
  CHECK(f.store.Load()->front().id > last);
}
