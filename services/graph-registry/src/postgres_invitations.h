#pragma once

#include <pqxx/pqxx>

#include "invitation_store.h"
#include "pepeunit/postgres/pool.h"

namespace pepeunit::graph_registry {

// Invitations in PostgreSQL.
class PostgresInvitations final : public InvitationStore {
 public:
  explicit PostgresInvitations(postgres::Pool& pool) : pool_(pool) {}

  absl::Status CreateInvitation(const Actor& actor, const graph::v1::Invitation& invitation, const std::string& hash,
                                std::int64_t most) override;
  absl::StatusOr<std::vector<graph::v1::Invitation>> ListInvitations(const Page& page) override;
  absl::Status DeleteInvitation(const Actor& actor, const Uuid& id) override;
  absl::StatusOr<std::int64_t> ForgetInvitations() override;

 private:
  postgres::Pool& pool_;
};

bool InvitationLives(pqxx::work& tx, const std::string& hash);
// Uses up the invitation for this user, and returns its id; BAD_INVITATION unless it lives. Of two at once the second
// waits for the first, and finds it used.
absl::StatusOr<std::string> UseInvitation(pqxx::work& tx, const std::string& hash, const std::string& user);

}  // namespace pepeunit::graph_registry
