#pragma once

#include "pepeunit/postgres/pool.h"
#include "token_store.h"

namespace pepeunit::graph_registry {

// Personal access tokens in PostgreSQL.
class PostgresTokens final : public TokenStore {
 public:
  explicit PostgresTokens(postgres::Pool& pool) : pool_(pool) {}

  absl::Status CreateToken(const Actor& actor, const graph::v1::PersonalToken& token, const std::string& hash,
                           std::int64_t most) override;
  absl::StatusOr<std::vector<graph::v1::PersonalToken>> ListTokens(const Uuid& user, const Page& page) override;
  absl::Status DeleteToken(const Actor& actor, const Uuid& id) override;
  absl::StatusOr<graph::v1::OpenedPersonalToken> OpenToken(const std::string& hash) override;

 private:
  postgres::Pool& pool_;
};

}  // namespace pepeunit::graph_registry
