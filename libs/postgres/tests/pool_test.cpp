#include "pepeunit/postgres/pool.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <thread>
#include <vector>

#include "pepeunit/base/errors.h"
#include "private_postgres.h"

using namespace pepeunit;
using namespace std::chrono_literals;

namespace {

postgres::PrivatePostgres& Server() {
  static postgres::PrivatePostgres server;
  return server;
}

struct Fixture {
  std::string schema = Server().NewSchema();
  postgres::PoolOptions options{
      .dsn = Server().dsn(), .schema = schema, .max_connections = 2, .acquire_timeout = 300ms, .statement_timeout = 2s};
  postgres::Pool pool{options};

  Fixture() {
    REQUIRE(postgres::ApplyMigrations(
                pool, schema, {{"0001_t.sql", "CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL CHECK (n >= 0))"}})
                .ok());
  }
  absl::Status Exec(const std::string& sql) {
    return pool.Transact("test", [&](pqxx::work& tx) {
      tx.exec(sql);
      return absl::OkStatus();
    });
  }
  int Count() {
    return *pool.Query<int>(
        "count", [](pqxx::work& tx) -> absl::StatusOr<int> { return tx.exec1("SELECT count(*) FROM t")[0].as<int>(); });
  }
};

}  // namespace

TEST_CASE("a transaction commits on OK and rolls back on an error") {
  Fixture f;
  CHECK(f.Exec("INSERT INTO t VALUES (1, 1)").ok());
  const absl::Status refused = f.pool.Transact("test", [](pqxx::work& tx) {
    tx.exec("INSERT INTO t VALUES (2, 2)");
    return InvalidField("n", "no");
  });
  CHECK(InfoOf(refused).reason == "INVALID_FIELD");
  CHECK(f.Count() == 1);
}

TEST_CASE("SQLSTATEs become statuses, without the text of the driver") {
  Fixture f;
  CHECK(f.Exec("INSERT INTO t VALUES (1, 1)").ok());
  CHECK(f.Exec("INSERT INTO t VALUES (1, 1)").code() == absl::StatusCode::kAlreadyExists);
  CHECK(f.Exec("INSERT INTO t VALUES (3, -1)").code() == absl::StatusCode::kFailedPrecondition);
  const absl::Status wrong = f.Exec("SELECT secret FROM nowhere");
  CHECK(wrong.code() == absl::StatusCode::kInternal);
  CHECK(std::string(wrong.message()).find("nowhere") == std::string::npos);
  CHECK(f.Exec("SELECT pg_sleep(10)").code() == absl::StatusCode::kUnavailable);
  CHECK(f.Count() == 1);
}

TEST_CASE("migrations apply once, also when replicas start together") {
  Fixture f;
  const postgres::Migrations migrations = {{"0001_t.sql", "not run again"}, {"0002_u.sql", "CREATE TABLE u (id int)"}};
  std::vector<std::thread> replicas;
  std::atomic<int> good = 0;
  for (int i = 0; i < 4; ++i) {
    replicas.emplace_back([&] {
      postgres::Pool pool(f.options);
      if (postgres::ApplyMigrations(pool, f.schema, migrations).ok()) ++good;
    });
  }
  for (auto& replica : replicas) replica.join();
  CHECK(good == 4);
  CHECK_FALSE(postgres::ApplyMigrations(f.pool, f.schema, {{"0003_bad.sql", "CREATE TABEL v (id int)"}}).ok());
}

TEST_CASE("a full pool is UNAVAILABLE after its time, and connections come back") {
  Fixture f;
  std::atomic<bool> hold = true;
  std::vector<std::thread> holders;
  std::atomic<int> held = 0;
  for (int i = 0; i < 2; ++i) {
    holders.emplace_back([&] {
      (void)f.pool.Transact("hold", [&](pqxx::work&) {
        ++held;
        while (hold) std::this_thread::sleep_for(5ms);
        return absl::OkStatus();
      });
    });
  }
  while (held < 2) std::this_thread::sleep_for(5ms);
  CHECK(f.pool.Ping().code() == absl::StatusCode::kUnavailable);
  hold = false;
  for (auto& holder : holders) holder.join();
  CHECK(f.pool.Ping().ok());
}

TEST_CASE("conflicting transactions are repeated") {
  Fixture f;
  REQUIRE(f.Exec("INSERT INTO t VALUES (1, 0)").ok());
  std::vector<std::thread> writers;
  std::atomic<int> good = 0;
  for (int i = 0; i < 2; ++i) {
    writers.emplace_back([&] {
      for (int k = 0; k < 20; ++k) {
        const absl::Status status = f.pool.Transact("increment", [](pqxx::work& tx) {
          tx.exec("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE");
          const int n = tx.exec1("SELECT n FROM t WHERE id = 1")[0].as<int>();
          tx.exec("UPDATE t SET n = " + std::to_string(n + 1) + " WHERE id = 1");
          return absl::OkStatus();
        });
        if (status.ok()) ++good;
      }
    });
  }
  for (auto& writer : writers) writer.join();
  CHECK(*f.pool.Query<int>("n", [](pqxx::work& tx) -> absl::StatusOr<int> {
    return tx.exec1("SELECT n FROM t WHERE id = 1")[0].as<int>();
  }) == good);
  CHECK(good > 20);
}

TEST_CASE("the pool recovers from a killed session and a killed server") {
  Fixture f;
  REQUIRE(f.pool.Ping().ok());
  {
    pqxx::connection other(Server().dsn());
    pqxx::work tx(other);
    tx.exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pepeunit-" + f.schema +
            "'");
  }
  CHECK(f.pool.Ping().ok());  // at the first try: the dead connection is noticed before anything is done
  Server().Kill();
  CHECK(f.pool.Ping().code() == absl::StatusCode::kUnavailable);
  Server().Start();
  CHECK(f.pool.Ping().ok());
}
