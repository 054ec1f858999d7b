#include "pepeunit/postgres/migrations.h"

#include <algorithm>
#include <thread>

#include "pepeunit/base/backoff.h"
#include "pepeunit/base/clock.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/base/log.h"
#include "pepeunit/postgres/pool.h"

namespace pepeunit::postgres {
namespace {

absl::Status ApplyAll(pqxx::work& tx, const std::string& schema, const Migrations& migrations) {
  // One instance at a time; the lock ends with the transaction.
  tx.exec("SELECT pg_advisory_xact_lock(hashtext(" + tx.quote("pepeunit migrations " + schema) + "))");
  tx.exec("SET LOCAL statement_timeout TO 0");
  tx.exec(
      "CREATE TABLE IF NOT EXISTS migration (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())");
  for (const Migration& migration : migrations) {
    if (!tx.exec("SELECT 1 FROM migration WHERE name = " + tx.quote(migration.name)).empty()) continue;
    tx.exec(migration.sql);
    tx.exec("INSERT INTO migration (name) VALUES (" + tx.quote(migration.name) + ")");
    log::Info("migration applied", {{"schema", schema}, {"migration", migration.name}});
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ApplyMigrations(Pool& pool, const std::string& schema, const Migrations& migrations,
                             std::chrono::milliseconds give_up) {
  Backoff backoff(std::chrono::milliseconds(200), std::chrono::milliseconds(3'000));
  const std::int64_t deadline = MonotonicMs() + give_up.count();
  for (;;) {
    const absl::Status status =
        pool.Transact("migrations", [&](pqxx::work& tx) { return ApplyAll(tx, schema, migrations); });
    if (status.code() != absl::StatusCode::kUnavailable || MonotonicMs() >= deadline) return status;
    std::this_thread::sleep_for(backoff.Next());
  }
}

}  // namespace pepeunit::postgres
