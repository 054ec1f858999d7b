#pragma once

#include <memory>
#include <pqxx/pqxx>

#include "pepeunit/postgres/pool.h"
#include "store.h"

namespace pepeunit::state_logger {

// Advisory locks of PostgreSQL on a session of its own: when the process or its connection dies, PostgreSQL frees them.
// Each replica also holds one lock that they share, and those are counted.
class PostgresLocks final : public PartitionLocks {
 public:
  explicit PostgresLocks(postgres::Pool& pool) : pool_(pool) {}
  absl::StatusOr<std::uint32_t> Members() override;
  absl::StatusOr<bool> TryLock(std::uint32_t partition) override;
  absl::Status Unlock(std::uint32_t partition) override;
  void Leave() override { session_.reset(); }

 private:
  template <typename T>
  absl::StatusOr<T> Ask(const char* name, const std::string& query);
  absl::Status Open();

  postgres::Pool& pool_;
  std::unique_ptr<pqxx::connection> session_;
};

}  // namespace pepeunit::state_logger
