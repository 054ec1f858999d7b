#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <pqxx/pqxx>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "pepeunit/base/config.h"
#include "pepeunit/postgres/migrations.h"
#include "pepeunit/postgres/params.h"

namespace pepeunit::postgres {

struct PoolOptions {
  std::string dsn;     // libpq connection string; holds the password, so it is never logged
  std::string schema;  // becomes the search_path
  std::size_t max_connections = 4;
  std::chrono::milliseconds acquire_timeout{2'000};     // then UNAVAILABLE
  std::chrono::milliseconds statement_timeout{10'000};  // of PostgreSQL
  std::chrono::milliseconds idle_close{30'000};         // a connection unused for so long is closed
  bool generic_plans = false;  // one plan whatever the parameters: where each query is answered by indexes
};

// PEPEUNIT_DATABASE_URL (a secret) and PEPEUNIT_DATABASE_CONNECTIONS.
PoolOptions PoolOptionsFrom(Config& config, const std::string& schema);

// Connections to one database, made when needed, given back after use, thrown away when broken. Thread-safe.
// No exception of pqxx leaves it: SQLSTATEs are mapped in one place (see FromException).
class Pool {
 public:
  explicit Pool(PoolOptions options);
  ~Pool();

  // Runs `body` in a transaction: commits when it returns OK, else rolls back and returns its status. Repeats it on
  // serialization failures and deadlocks, so `body` may run more than once. `name` labels logs and metrics.
  absl::Status Transact(const char* name, const std::function<absl::Status(pqxx::work&)>& body);

  // The same with a result.
  template <typename T>
  absl::StatusOr<T> Query(const char* name, const std::function<absl::StatusOr<T>(pqxx::work&)>& body) {
    std::optional<T> result;
    absl::Status status = Transact(name, [&](pqxx::work& tx) { return Keep(body(tx), &result); });
    if (!status.ok()) return status;
    return *std::move(result);
  }

  // One query outside a transaction, in one round trip; PostgreSQL plans the text once in a session, which
  // keeps at most kPlans plans. `read` makes the result of the rows.
  template <typename T>
  absl::StatusOr<T> Read(const char* name, const std::string& text, const Params& params,
                         const std::function<absl::StatusOr<T>(const pqxx::result&)>& read) {
    std::optional<T> result;
    absl::Status status =
        Select(name, text, params, [&](const pqxx::result& rows) { return Keep(read(rows), &result); });
    if (!status.ok()) return status;
    return *std::move(result);
  }
  absl::Status Select(const char* name, const std::string& text, const Params& params,
                      const std::function<absl::Status(const pqxx::result&)>& read);
  static constexpr std::size_t kPlans = 64;  // about 10 MB for the largest ones

  // `SELECT 1`, with the patience of any query for a connection and for the answer.
  absl::Status Ping();

  // A connection of one's own outside the pool (for advisory locks); null with `status` set when it cannot be had.
  std::unique_ptr<pqxx::connection> Connect(absl::Status* status);

 private:
  template <typename T>
  static absl::Status Keep(absl::StatusOr<T> made, std::optional<T>* result) {
    if (!made.ok()) return made.status();
    *result = *std::move(made);
    return absl::OkStatus();
  }

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Maps what libpqxx throws: unique_violation to ALREADY_EXISTS, foreign keys and checks to FAILED_PRECONDITION, broken
// connections, timeouts and shutdowns to UNAVAILABLE, the rest to INTERNAL. The text of the driver is logged only.
// Call inside a catch block.
absl::Status FromException(const char* name);

// Applies the numbered files that the schema has not seen, each in a transaction, under an advisory lock, so that
// replicas may start together. Tries again with backoff until `give_up` while PostgreSQL is away, then UNAVAILABLE: by
// default a single try, for the start steps of runtime::Service repeat it.
absl::Status ApplyMigrations(Pool& pool, const std::string& schema, const Migrations& migrations,
                             std::chrono::milliseconds give_up = std::chrono::milliseconds(0));

}  // namespace pepeunit::postgres
