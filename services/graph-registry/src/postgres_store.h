#pragma once

#include "pepeunit/outbox/outbox.h"
#include "pepeunit/postgres/pool.h"
#include "store.h"

namespace pepeunit::graph_registry {

// The graph in PostgreSQL: all of the service's SQL. `relay` is kicked after each commit that wrote an event.
class PostgresStore final : public GraphStore {
 public:
  PostgresStore(postgres::Pool& pool, outbox::Relay* relay) : pool_(pool), relay_(relay) {}

  absl::Status CreateAccount(const Account& account) override;
  absl::StatusOr<Account> FindAccount(const std::string& login) override;
  absl::StatusOr<graph::v1::User> GetUser(const Uuid& id) override;
  absl::StatusOr<bool> HasAdministrator() override;
  absl::Status CreateSession(const SessionRow& session, const std::string& refresh_hash) override;
  absl::StatusOr<SessionRow> FindSession(const std::string& refresh_hash) override;
  absl::StatusOr<SessionRow> RotateSession(const std::string& refresh_hash, const std::string& new_hash,
                                           std::int64_t new_expires_at_ms) override;
  absl::Status DeleteSession(const Uuid& id, const Uuid& user) override;
  absl::StatusOr<Failures> GetFailures(const std::string& login) override;
  absl::StatusOr<bool> AddFailure(const std::string& login, int expected) override;
  absl::Status ForgiveFailure(const std::string& login) override;
  absl::Status ClearFailures(const std::string& login) override;

  absl::StatusOr<NodeFacts> GetFacts(const Uuid& id) override;

  absl::Status CreateRepoUnit(const graph::v1::RepoUnit& repo, const std::string& sealed_credentials) override;
  absl::StatusOr<graph::v1::RepoUnit> GetRepoUnit(const Uuid& id) override;
  absl::StatusOr<std::vector<graph::v1::RepoUnit>> ListRepoUnits(const access::Subject& viewer,
                                                                 const Page& page) override;
  absl::Status UpdateRepoUnit(const graph::v1::RepoUnit& repo, const std::optional<std::string>& sealed_credentials,
                              std::int64_t expected_version) override;
  absl::Status DeleteRepoUnit(const Uuid& id) override;
  absl::Status RequestSync(const Uuid& id) override;
  absl::Status ApplyRepoSynced(const bus::v1::RepoSynced& synced) override;
  absl::StatusOr<std::vector<graph::v1::RepositoryToKeep>> ListRepositoriesToKeep(const Page& page) override;

  absl::Status CreateUnit(const NewUnit& unit) override;
  absl::StatusOr<graph::v1::Unit> GetUnit(const Uuid& id) override;
  absl::StatusOr<UnitSecrets> GetUnitSecrets(const Uuid& id) override;
  absl::StatusOr<std::vector<graph::v1::Unit>> ListUnits(const access::Subject& viewer, const Uuid& repo_unit,
                                                         const Page& page) override;
  absl::Status UpdateUnit(const graph::v1::Unit& unit, std::int64_t expected_version) override;
  absl::Status DeleteUnit(const Uuid& id) override;
  absl::StatusOr<VariableRow> GetVariable(const Uuid& id) override;
  absl::StatusOr<std::vector<graph::v1::Variable>> ListVariables(const Uuid& unit) override;

  absl::Status CreateLink(const graph::v1::Link& link, std::int64_t most) override;
  absl::StatusOr<graph::v1::Link> GetLink(const Uuid& id) override;
  absl::StatusOr<LinkPage> ListLinks(const access::Subject& viewer, const Uuid& node, const Page& page) override;
  absl::Status DeleteLink(const Uuid& id) override;
  absl::StatusOr<std::vector<LinkRow>> LinksFrom(const Uuid& unit) override;

 private:
  // A transaction that writes an event.
  absl::Status Change(const char* name, const std::function<absl::Status(pqxx::work&)>& body);

  postgres::Pool& pool_;
  outbox::Relay* relay_;
};

}  // namespace pepeunit::graph_registry
