#pragma once

#include "identity_store.h"
#include "pepeunit/postgres/pool.h"

namespace pepeunit::graph_registry {

// Accounts elsewhere, and sign-ins under way, in PostgreSQL.
class PostgresIdentities final : public IdentityStore {
 public:
  explicit PostgresIdentities(postgres::Pool& pool) : pool_(pool) {}

  absl::Status CreateFlow(const OidcFlowRow& flow, std::int64_t most_of_address, std::int64_t most) override;
  absl::StatusOr<OidcFlowRow> TakeFlow(const std::string& state_hash, const std::string& secret_hash,
                                       const Uuid& user) override;
  absl::StatusOr<Uuid> FindIdentity(const std::string& issuer, const std::string& subject) override;
  absl::StatusOr<Uuid> CreateAccountWith(const Actor& actor, const IdentityRow& row, const Account& account) override;
  absl::Status CreateIdentity(const Actor& actor, const IdentityRow& row, std::int64_t most) override;
  absl::StatusOr<std::vector<graph::v1::Identity>> ListIdentities(const Uuid& user, const Page& page) override;
  absl::Status DeleteIdentity(const Actor& actor, const Uuid& id) override;

 private:
  postgres::Pool& pool_;
};

}  // namespace pepeunit::graph_registry
