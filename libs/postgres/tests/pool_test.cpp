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

TEST_CASE("a transaction that conflicts with another is repeated, and not for ever") {
  Fixture f;
  REQUIRE(f.Exec("INSERT INTO t VALUES (1, 0)").ok());
  int tries = 0;
  // Adds one, while others do the same in its first tries.
  const auto increment = [&](int conflicts) {
    tries = 0;
    return f.pool.Transact("increment", [&](pqxx::work& tx) {
      tx.exec("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE");
      const int n = tx.exec1("SELECT n FROM t WHERE id = 1")[0].as<int>();
      if (tries++ < conflicts) REQUIRE(f.Exec("UPDATE t SET n = n + 1 WHERE id = 1").ok());
      tx.exec("UPDATE t SET n = " + std::to_string(n + 1) + " WHERE id = 1");
      return absl::OkStatus();
    });
  };
  const auto n = [&] {
    return *f.pool.Query<int>("n", [](pqxx::work& tx) -> absl::StatusOr<int> {
      return tx.exec1("SELECT n FROM t WHERE id = 1")[0].as<int>();
    });
  };
  CHECK(increment(2).ok());
  CHECK(tries == 3);
  CHECK(n() == 3);
  CHECK(increment(1000).code() == absl::StatusCode::kUnavailable);
  CHECK(tries < 10);
  CHECK(n() == 3 + tries);  // the others', and nothing of its own
}

TEST_CASE("a query's values are apart from its text, and equal ones are one") {
  postgres::Params params;
  const Uuid one = Uuid::New(), other = Uuid::New();
  CHECK(params.Id(one) == "$1::uuid");
  CHECK(params.Id(other) == "$2::uuid");
  CHECK(params.Id(one) == "$1::uuid");
  CHECK(params.Ids({one, other}) == "$3::uuid[]");
  CHECK(params.Text(one.ToString()) == "$4::text");  // another type is another parameter
  CHECK(params.values() == std::vector<std::string>{one.ToString(), other.ToString(),
                                                    "{" + one.ToString() + "," + other.ToString() + "}",
                                                    one.ToString()});
}

TEST_CASE("a read is planned once in a session, and few plans are kept") {
  Fixture f;
  f.options.max_connections = 1;
  postgres::Pool pool(f.options);
  const auto read = [&](const std::string& text, const postgres::Params& params) {
    return pool.Read<std::string>("read", text, params, [](const pqxx::result& rows) -> absl::StatusOr<std::string> {
      if (rows.empty()) return InvalidField("row", "none");
      return std::string(rows[0][0].c_str());
    });
  };
  const auto plans = [&] {
    return *pool.Query<int>("plans", [](pqxx::work& tx) -> absl::StatusOr<int> {
      return tx.exec1("SELECT count(*) FROM pg_prepared_statements")[0].as<int>();
    });
  };
  for (int i = 0; i < 10; ++i) {
    postgres::Params params;
    const std::string value = "it's \"" + std::to_string(i);
    CHECK(*read("SELECT " + params.Text(value), params) == value);
  }
  CHECK(plans() == 1);
  for (std::size_t i = 0; i < 2 * postgres::Pool::kPlans; ++i)
    CHECK(*read("SELECT " + std::to_string(i), {}) == std::to_string(i));
  CHECK(plans() <= static_cast<int>(postgres::Pool::kPlans));

  CHECK(InfoOf(read("SELECT 1 WHERE false", {}).status()).reason == "INVALID_FIELD");
  CHECK(read("SELECT nothing", {}).status().code() == absl::StatusCode::kInternal);
  CHECK(*read("SELECT 1", {}) == "1");  // the session is good all the same
}

TEST_CASE("the pool recovers from a killed session and a killed server") {
  Fixture f;
  REQUIRE(f.pool.Ping().ok());
  {
    pqxx::connection other(Server().dsn());
    pqxx::work tx(other);
    // Returns when its process has gone.
    tx.exec("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'pepeunit-" +
            f.schema + "'");
  }
  CHECK(f.pool.Ping().ok());  // at the first try: the dead connection is noticed before anything is done
  Server().Kill();
  CHECK(f.pool.Ping().code() == absl::StatusCode::kUnavailable);
  Server().Start();
  CHECK(f.pool.Ping().ok());
  // What was prepared went with its session.
  const auto one = [&] {
    return f.pool.Read<int>("one", "SELECT 1", {},
                            [](const pqxx::result& rows) -> absl::StatusOr<int> { return rows[0][0].as<int>(); });
  };
  CHECK(*one() == 1);
  Server().Kill();
  CHECK(one().status().code() == absl::StatusCode::kUnavailable);
  Server().Start();
  CHECK(*one() == 1);
}
