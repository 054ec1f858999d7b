#include "postgres_locks.h"

#include "pepeunit/base/errors.h"

namespace pepeunit::state_logger {
namespace {

// First key of the locks: instances may share a database in schemas of their own.
const std::string kClass = "hashtext('pepeunit partitions ' || current_schema())";
const std::string kMember = "1000000";  // second key of the shared one, above all partitions

}  // namespace

template <typename T>
absl::StatusOr<T> PostgresLocks::Ask(const char* name, const std::string& query) {
  if (!session_) return Unavailable("the session that holds the partitions is gone");
  try {
    pqxx::nontransaction tx(*session_);
    return tx.exec1(query)[0].as<T>();
  } catch (...) {
    const absl::Status status = postgres::FromException(name);
    session_.reset();
    return status;
  }
}

absl::Status PostgresLocks::Open() {
  absl::Status status;
  session_ = pool_.Connect(&status);
  PEPEUNIT_RETURN_IF_ERROR(status);
  return Ask<std::string>("join", "SELECT pg_advisory_lock_shared(" + kClass + ", " + kMember + ")::text").status();
}

absl::StatusOr<std::uint32_t> PostgresLocks::Members() {
  if (!session_) PEPEUNIT_RETURN_IF_ERROR(Open());
  return Ask<std::uint32_t>("members",
                            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2"
                            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
                            " AND classid::bigint = (" +
                                kClass + "::bigint & 4294967295) AND objid = " + kMember);
}

absl::StatusOr<bool> PostgresLocks::TryLock(std::uint32_t partition) {
  return Ask<bool>("take a partition",
                   "SELECT pg_try_advisory_lock(" + kClass + ", " + std::to_string(partition) + ")");
}

absl::Status PostgresLocks::Unlock(std::uint32_t partition) {
  return Ask<bool>("give up a partition",
                   "SELECT pg_advisory_unlock(" + kClass + ", " + std::to_string(partition) + ")")
      .status();
}

}  // namespace pepeunit::state_logger
