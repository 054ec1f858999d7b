#pragma once

#include "pepeunit/outbox/outbox.h"
#include "pepeunit/postgres/pool.h"
#include "store.h"

namespace pepeunit::repo_sync {

// All of the service's SQL. `relay` (may be null) is kicked after each commit that wrote an event.
class PostgresStore final : public RepositoryStore {
 public:
  PostgresStore(postgres::Pool& pool, outbox::Relay* relay) : pool_(pool), relay_(relay) {}

  absl::Status Upsert(const Wanted& wanted) override;
  absl::Status Delete(const Uuid& id) override;
  absl::StatusOr<std::vector<Uuid>> ListIds() override;
  absl::StatusOr<std::vector<Uuid>> ListSynced() override;
  absl::Status MarkMissing(const Uuid& id) override;
  absl::StatusOr<std::optional<CopyState>> Get(const Uuid& id) override;
  absl::StatusOr<std::optional<Taken>> TakeDue(std::chrono::seconds lease) override;
  absl::StatusOr<bool> Renew(const Taken& taken, std::chrono::seconds lease) override;
  absl::Status Tell(const Taken& taken, const Progress& progress) override;
  absl::StatusOr<bool> Finish(const Taken& taken, const SyncResult& result) override;
  absl::Status Release(const Taken& taken) override;
  absl::StatusOr<std::vector<KeptRecord>> ListSyncs(const Uuid& id, std::int64_t before, int limit) override;
  absl::StatusOr<repo::v1::RefChecks> GetChecks(const Uuid& id) override;

 private:
  absl::StatusOr<std::vector<Uuid>> List(const char* name, const char* sql);
  void Kick();

  postgres::Pool& pool_;
  outbox::Relay* relay_;
};

}  // namespace pepeunit::repo_sync
