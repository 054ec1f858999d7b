#pragma once

#include "pepeunit/outbox/outbox.h"
#include "pepeunit/postgres/pool.h"
#include "ports.h"
#include "store.h"

namespace pepeunit::graph_registry {

// The graph in PostgreSQL. After each commit that wrote an event `relay` is kicked, and `gate` is told what must not
// carry values any more. Both may be null.
class PostgresStore final : public GraphStore {
 public:
  PostgresStore(postgres::Pool& pool, outbox::Relay* relay, ValueGate* gate = nullptr, const Quotas& quotas = {})
      : pool_(pool), relay_(relay), gate_(gate), quotas_(quotas) {}

  absl::StatusOr<NodeFacts> GetFacts(const Uuid& id, const access::Subject& viewer) override;
  absl::StatusOr<graph::v1::Node> GetNode(const Uuid& id) override;
  absl::Status SetLevel(const Actor& actor, const LevelWrite& write) override;
  absl::StatusOr<std::vector<graph::v1::Grant>> ListGrants(const Uuid& node, const Page& page) override;
  absl::StatusOr<graph::v1::Grant> PutGrant(const Actor& actor, const graph::v1::Grant& grant, std::int64_t most,
                                            const MayChangeGrant& may) override;
  absl::Status DeleteGrant(const Actor& actor, const graph::v1::Grant& grant, const MayChangeGrant& may) override;
  absl::StatusOr<std::vector<graph::v1::AuditRecord>> ListAudit(const AuditFilter& filter, const Page& page) override;
  absl::StatusOr<std::int64_t> ForgetAudit(int days) override;
  absl::StatusOr<std::int64_t> ForgetIdempotencyKeys() override;

  absl::StatusOr<Uuid> CreateRepoUnit(const Actor& actor, const graph::v1::RepoUnit& repo,
                                      const std::string& sealed_credentials) override;
  absl::StatusOr<graph::v1::RepoUnit> GetRepoUnit(const Uuid& id) override;
  absl::StatusOr<std::vector<graph::v1::RepoUnit>> ListRepoUnits(const access::Subject& viewer,
                                                                 const Page& page) override;
  absl::Status UpdateRepoUnit(const Actor& actor, const graph::v1::RepoUnit& repo,
                              const std::optional<std::string>& sealed_credentials,
                              std::int64_t expected_version) override;
  absl::Status DeleteRepoUnit(const Actor& actor, const Uuid& id, std::int64_t expected_version) override;
  absl::Status RequestSync(const Actor& actor, const Uuid& id) override;
  absl::Status ApplyRepoSynced(const bus::v1::RepoSynced& synced) override;
  absl::StatusOr<std::optional<FollowTurn>> TakeFollowTurn() override;
  absl::Status EndFollowTurn(const FollowTurn& turn, const Uuid& after, std::chrono::milliseconds wait) override;
  absl::StatusOr<std::vector<graph::v1::RepositoryToKeep>> ListRepositoriesToKeep(const Page& page) override;

  absl::StatusOr<Uuid> CreateUnit(const Actor& actor, const NewUnit& unit) override;
  absl::StatusOr<graph::v1::Unit> GetUnit(const Uuid& id) override;
  absl::StatusOr<UnitSecrets> GetUnitSecrets(const Uuid& id) override;
  absl::StatusOr<std::vector<graph::v1::Unit>> ListUnits(const access::Subject& viewer, const Uuid& repo_unit,
                                                         const Page& page) override;
  absl::Status UpdateUnit(const Actor& actor, const graph::v1::Unit& unit, std::int64_t expected_version) override;
  absl::Status MoveUnit(const Actor& actor, const MoveWrite& move) override;
  absl::StatusOr<std::vector<Uuid>> ListBehind(const Uuid& repo_unit, const std::string& branch,
                                               const std::string& commit, const Page& page) override;
  absl::Status SetFollowProblem(const Uuid& repo_unit, const Uuid& unit,
                                const graph::v1::FollowProblem& problem) override;
  absl::Status ClearFollowProblems(const Uuid& repo_unit, const std::string& branch,
                                   const std::string& commit) override;
  absl::Status ResetEnv(const Actor& actor, const Uuid& unit, const SealedEnv& env,
                        std::int64_t expected_version) override;
  absl::StatusOr<std::map<std::string, std::int32_t>> CountVariableGrants(const Uuid& unit) override;
  absl::StatusOr<FollowersDifference> CompareFollowers(const Uuid& repo_unit, access::Level level) override;
  absl::Status DeleteUnit(const Actor& actor, const Uuid& id, std::int64_t expected_version) override;
  absl::StatusOr<VariableRow> GetVariable(const Uuid& id, const access::Subject& viewer) override;
  absl::StatusOr<std::vector<VariableRow>> ListVariables(const Uuid& unit, const access::Subject& viewer) override;

  absl::StatusOr<std::vector<graph::v1::FoundOutput>> FindOutputs(const graph::v1::FindOutputsRequest& filter,
                                                                  const access::Subject& viewer) override;
  absl::StatusOr<std::vector<graph::v1::KeptHistory>> ListHistories(const Page& page) override;
  absl::Status UpdateVariable(const Actor& actor, const VariableRow& row, std::int64_t expected_version) override;
  absl::Status WithVariable(const Actor& actor, const Uuid& id,
                            const std::function<absl::Status(const VariableRow&)>& use) override;
  absl::StatusOr<Uuid> CreateLink(const Actor& actor, const graph::v1::Link& link, const LinkBounds& bounds,
                                  const std::function<absl::Status(const LinkRow&)>& may) override;
  absl::StatusOr<SeenLink> GetLink(const Uuid& id, const access::Subject& viewer) override;
  absl::StatusOr<LinkPage> ListLinks(const access::Subject& viewer, const Uuid& node, const Page& page) override;
  absl::Status MarkLink(const Uuid& id, common::v1::LinkBound bound, std::int64_t time_ms) override;
  absl::Status DeleteLink(const Actor& actor, const Uuid& id) override;
  absl::StatusOr<std::vector<LinkRow>> LinksFrom(const Uuid& unit) override;
  absl::StatusOr<std::vector<LinkRow>> LinksAt(const Uuid& node) override;
  absl::StatusOr<LinkRow> ImagineLink(const graph::v1::Link& link) override;

 private:
  // A transaction that writes an event, after it has asked again what lets the actor.
  absl::Status Change(const char* name, const Actor& actor, const std::function<absl::Status(pqxx::work&)>& body);
  absl::Status InPieces(const char* name, const std::function<pqxx::result(pqxx::work&)>& update);
  // One that makes a node or link: its id, or that of the same request before.
  absl::StatusOr<Uuid> Make(const char* name, const Actor& actor, const std::string& id,
                            const std::function<absl::Status(pqxx::work&)>& body);

  postgres::Pool& pool_;
  outbox::Relay* relay_;
  ValueGate* gate_;
  const Quotas quotas_;
};

}  // namespace pepeunit::graph_registry
