#pragma once

#include "key_store.h"
#include "pepeunit/postgres/pool.h"

namespace pepeunit::crypto {

// Keeps data keys in the table `data_key` of the schema `secret`. Thread-safe.
class PostgresKeyStore final : public KeyStore {
 public:
  // `pool` outlives it.
  explicit PostgresKeyStore(postgres::Pool& pool) : pool_(pool) {}

  absl::StatusOr<std::vector<StoredKey>> Load() override;
  absl::Status CreateIfMissing(const std::string& purpose,
                               const std::function<StoredKey(std::uint32_t id)>& make) override;

 private:
  postgres::Pool& pool_;
};

}  // namespace pepeunit::crypto
