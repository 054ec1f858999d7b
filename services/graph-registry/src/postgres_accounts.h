#pragma once

#include <pqxx/pqxx>

#include "account_store.h"
#include "pepeunit/outbox/outbox.h"
#include "pepeunit/postgres/pool.h"
#include "ports.h"

namespace pepeunit::graph_registry {

// Makes a user with his node, and uses up the invitation with this hash, unless that is empty: BAD_INVITATION when it
// does not live. ALREADY_EXISTS when the login is taken.
absl::Status InsertAccount(pqxx::work& tx, const Actor& actor, const Account& account,
                           const std::string& invitation_hash);

// Of the row `a` of `account` and the row `n` of its node.
std::string UserColumns();
inline constexpr int kUserColumns = 6;
graph::v1::User ReadUser(const pqxx::row& row);

// Locks all administrators who can sign in, and this user, for changes. NOT_FOUND; LAST_ADMINISTRATOR when he is the
// last of them and `loses` that.
absl::Status LockAdministrators(pqxx::work& tx, const std::string& user, bool loses);

// Ends the sessions of a user but `kept` (nil: none).
void EndSessions(pqxx::work& tx, const std::string& user, const Uuid& kept);

// People in PostgreSQL.
class PostgresAccounts final : public AccountStore {
 public:
  // `relay` and `gate` as those of PostgresStore.
  explicit PostgresAccounts(postgres::Pool& pool, outbox::Relay* relay = nullptr, ValueGate* gate = nullptr)
      : pool_(pool), relay_(relay), gate_(gate) {}

  absl::Status CreateAccount(const Actor& actor, const Account& account, const std::string& invitation_hash) override;
  absl::StatusOr<bool> HasInvitation(const std::string& hash) override;
  absl::StatusOr<Account> FindAccount(const std::string& login) override;
  absl::StatusOr<graph::v1::User> GetUser(const Uuid& id) override;
  absl::StatusOr<bool> HasAdministrator() override;
  absl::StatusOr<std::vector<graph::v1::User>> ListUsers(const access::Subject& viewer, const UserFilter& filter,
                                                         const Page& page) override;
  absl::StatusOr<graph::v1::User> FindCaller(const Uuid& user, const Uuid& session) override;
  absl::StatusOr<std::map<Uuid, bool>> FindCallers(const std::vector<std::pair<Uuid, Uuid>>& users) override;
  absl::Status CreateSession(const SessionRow& session, const std::string& refresh_hash,
                             const std::string& password_hash) override;
  absl::StatusOr<SessionRow> FindSession(const std::string& refresh_hash) override;
  absl::StatusOr<SessionRow> RotateSession(const std::string& refresh_hash, const std::string& new_hash,
                                           std::int64_t new_expires_at_ms) override;
  absl::Status DeleteSession(const Actor& actor, const Uuid& id) override;
  absl::StatusOr<std::vector<graph::v1::SessionInfo>> ListSessions(const Uuid& user) override;
  absl::StatusOr<std::vector<std::string>> AddressesOf(const std::string& login) override;
  absl::Status DeleteOtherSessions(const Actor& actor, const Uuid& kept) override;
  absl::Status SetPassword(const Actor& actor, const Uuid& user, const std::string& hash, const Uuid& kept) override;
  absl::Status CreateReset(const Actor& actor, const Uuid& user, const std::string& secret_hash,
                           std::int64_t expires_at_ms) override;
  absl::StatusOr<bool> HasReset(const std::string& secret_hash) override;
  absl::Status RedeemReset(const std::string& secret_hash, const std::string& password_hash,
                           const std::string& client_address) override;
  absl::Status SetAdministrator(const Actor& actor, const Uuid& user, bool administrator) override;
  absl::Status SetBlocked(const Actor& actor, const Uuid& user, bool blocked, bool devices_stopped) override;
  absl::StatusOr<std::int64_t> CountFailure(const std::string& key, const FailureBound& bound) override;
  absl::Status ForgiveFailure(const std::string& key) override;
  absl::Status ClearFailures(const std::string& key) override;
  absl::StatusOr<std::int64_t> ForgetFailures(std::int64_t most) override;

 private:
  postgres::Pool& pool_;
  outbox::Relay* relay_;
  ValueGate* gate_;
};

}  // namespace pepeunit::graph_registry
