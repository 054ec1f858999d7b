#include "postgres_key_store.h"

namespace pepeunit::crypto {
namespace {

constexpr char kLoad[] = "SELECT id, purpose, wrapped, master_fingerprint, active FROM data_key ORDER BY id";
// Against itself only: readers go on.
constexpr char kLock[] = "LOCK TABLE data_key IN SHARE ROW EXCLUSIVE MODE";
constexpr char kHasActive[] = "SELECT 1 FROM data_key WHERE purpose = $1 AND active";
constexpr char kNextId[] = "SELECT nextval('data_key_id')";
constexpr char kInsert[] =
    "INSERT INTO data_key (id, purpose, wrapped, master_fingerprint, active) VALUES ($1, $2, $3, $4, $5)";

}  // namespace

absl::StatusOr<std::vector<StoredKey>> PostgresKeyStore::Load() {
  return pool_.Query<std::vector<StoredKey>>("load data keys",
                                             [](pqxx::work& tx) -> absl::StatusOr<std::vector<StoredKey>> {
                                               std::vector<StoredKey> keys;
                                               for (const auto& row : tx.exec(kLoad)) {
                                                 keys.push_back({.id = row[0].as<std::uint32_t>(),
                                                                 .purpose = row[1].as<std::string>(),
                                                                 .wrapped = pqxx::binarystring(row[2]).str(),
                                                                 .master_fingerprint = row[3].as<std::string>(),
                                                                 .active = row[4].as<bool>()});
                                               }
                                               return keys;
                                             });
}

absl::Status PostgresKeyStore::CreateIfMissing(const std::string& purpose,
                                               const std::function<StoredKey(std::uint32_t id)>& make) {
  return pool_.Transact("create data key", [&](pqxx::work& tx) -> absl::Status {
    tx.exec(kLock);
    if (!tx.exec_params(kHasActive, purpose).empty()) return absl::OkStatus();
    const StoredKey key = make(tx.exec1(kNextId)[0].as<std::uint32_t>());
    tx.exec_params(kInsert, key.id, key.purpose, pqxx::binarystring(key.wrapped), key.master_fingerprint, key.active);
    return absl::OkStatus();
  });
}

}  // namespace pepeunit::crypto
