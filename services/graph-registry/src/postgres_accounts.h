#pragma once

#include "account_store.h"
#include "pepeunit/outbox/outbox.h"
#include "pepeunit/postgres/pool.h"
#include "ports.h"

namespace pepeunit::graph_registry {

// Makes a user with his node. ALREADY_EXISTS when the login is taken.
void InsertAccount(pqxx::work& tx, const Account& account);

// People in PostgreSQL.
class PostgresAccounts final : public AccountStore {
 public:
  // `relay` and `gate` as those of PostgresStore.
  explicit PostgresAccounts(postgres::Pool& pool, outbox::Relay* relay = nullptr, ValueGate* gate = nullptr)
      : pool_(pool), relay_(relay), gate_(gate) {}

  absl::Status CreateAccount(const Account& account) override;
  absl::StatusOr<Account> FindAccount(const std::string& login) override;
  absl::StatusOr<graph::v1::User> GetUser(const Uuid& id) override;
  absl::StatusOr<bool> HasAdministrator() override;
  absl::StatusOr<graph::v1::User> FindCaller(const Uuid& user, const Uuid& session) override;
  absl::Status CreateSession(const SessionRow& session, const std::string& refresh_hash) override;
  absl::StatusOr<SessionRow> FindSession(const std::string& refresh_hash) override;
  absl::StatusOr<SessionRow> RotateSession(const std::string& refresh_hash, const std::string& new_hash,
                                           std::int64_t new_expires_at_ms) override;
  absl::Status DeleteSession(const Uuid& id, const Uuid& user) override;
  absl::StatusOr<std::vector<graph::v1::SessionInfo>> ListSessions(const Uuid& user) override;
  absl::Status DeleteOtherSessions(const Actor& actor, const Uuid& kept) override;
  absl::Status SetPassword(const Actor& actor, const Uuid& user, const std::string& hash, const Uuid& kept) override;
  absl::Status SetBlocked(const Actor& actor, const Uuid& user, bool blocked, bool devices_stopped) override;
  absl::StatusOr<Failures> GetFailures(const std::string& login) override;
  absl::StatusOr<bool> AddFailure(const std::string& login, int expected) override;
  absl::Status ForgiveFailure(const std::string& login) override;
  absl::Status ClearFailures(const std::string& login) override;

 private:
  postgres::Pool& pool_;
  outbox::Relay* relay_;
  ValueGate* gate_;
};

}  // namespace pepeunit::graph_registry
