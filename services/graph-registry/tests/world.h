#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "accounts.h"
#include "departures.h"
#include "exports.h"
#include "followers.h"
#include "internals.h"
#include "invitations.h"
#include "links.h"
#include "migrations.h"
#include "neighbourhoods.h"
#include "nodes.h"
#include "oidc.h"
#include "people.h"
#include "pepeunit/base/bytes.h"
#include "pepeunit/base/clock.h"
#include "pepeunit/base/errors.h"
#include "personal_tokens.h"
#include "postgres_accounts.h"
#include "postgres_exports.h"
#include "postgres_graph_view.h"
#include "postgres_identities.h"
#include "postgres_invitations.h"
#include "postgres_removals.h"
#include "postgres_rollouts.h"
#include "postgres_store.h"
#include "postgres_tokens.h"
#include "postgres_updates.h"
#include "private_postgres.h"
#include "repo_units.h"
#include "rollout_turns.h"
#include "rollouts.h"
#include "unit_updates.h"
#include "units.h"

// What the tests of the domain stand on: the real storage on a private PostgreSQL, and the other services in memory.
namespace pepeunit::graph_registry {

postgres::PrivatePostgres& Database();

// The crypto service. Seals legibly, so that a test sees what was sealed and for where.
class MemorySecrets final : public SecretBox {
 public:
  bool down = false;
  std::atomic<int> hashes = 0, verified = 0, tokens = 0, opened = 0;  // called from many threads
  std::function<void()> verified_so_far;                              // what happens before a verdict on a password

  absl::StatusOr<std::string> Seal(const std::string& plaintext, const std::string& context) override {
    if (down) return Unavailable("down");
    return context + '|' + plaintext;
  }
  absl::StatusOr<std::string> SealCredentials(const Uuid& id, const graph::v1::RepoCredentials& c) override {
    const std::string opens = c.private_key().empty() ? c.password() : c.private_key() + '|' + c.passphrase();
    return Seal(c.username() + ':' + opens, "graph.repo_unit.credentials:" + id.ToString());
  }
  absl::StatusOr<std::string> OpenEnv(const Uuid& unit, const std::string& sealed) override {
    if (down) return Unavailable("down");
    ++opened;
    const std::string context = "graph.unit.env:" + unit.ToString() + '|';
    if (sealed.substr(0, context.size()) != context) return Internal("it does not open");
    return sealed.substr(context.size());
  }
  absl::StatusOr<std::string> HashPassword(const std::string& password) override {
    ++hashes;
    return "hash of " + password;
  }
  absl::StatusOr<bool> VerifyPassword(const std::string& password, const std::string& hash) override {
    if (down) return Unavailable("down");
    ++verified;
    if (verified_so_far) verified_so_far();
    return hash == "hash of " + password;
  }
  absl::StatusOr<IssuedAccess> IssueAccessToken(const Uuid& user, const Uuid&, bool administrator,
                                                std::int32_t lifetime_s) override {
    if (down) return Unavailable("down");
    ++tokens;
    return IssuedAccess{user.ToString() + (administrator ? " admin" : ""), NowMs() / 1000 + lifetime_s};
  }
  absl::StatusOr<std::string> IssueUnitToken(const Uuid& unit, std::uint32_t generation) override {
    return "token of " + unit.ToString() + " " + std::to_string(generation);
  }
};

// repo-sync: versions by `branch:x`, `tag:x`, `commit:x`, `release` and `pre-release`.
class MemoryVersions final : public Versions {
 public:
  absl::Status status;
  std::function<void()> meanwhile;  // happens before an answer
  std::map<std::string, repo::v1::ResolveVersionResponse> versions;
  std::set<std::string> is_signed;  // commits

  absl::StatusOr<repo::v1::ResolveVersionResponse> Resolve(const repo::v1::ResolveVersionRequest& request) override;
  // `branch` at a commit of 40 times `digit`.
  void Add(const std::string& branch, char digit, const std::string& schema, const std::string& env);
};

class MemoryValues final : public ValueStream {
 public:
  absl::Status status;
  std::vector<bus::v1::InputWrite> writes;

  absl::Status Write(const bus::v1::InputWrite& write) override {
    if (status.ok()) writes.push_back(write);
    return status;
  }
};

class MemoryInputs final : public InputValues {
 public:
  absl::Status status;
  std::map<Uuid, bus::v1::Scalar> held;  // of all units
  std::atomic<int> asked = 0;

  absl::StatusOr<std::map<Uuid, bus::v1::Scalar>> Of(const Uuid&) override {
    ++asked;
    if (!status.ok()) return status;
    return held;
  }
};

class MemoryGate final : public ValueGate {
 public:
  absl::Status status;
  std::vector<bus::v1::UnitChanged> changes;

  absl::Status Apply(const std::vector<bus::v1::UnitChanged>& told) override {
    std::lock_guard lock(mutex_);
    changes.insert(changes.end(), told.begin(), told.end());
    return status;
  }

 private:
  std::mutex mutex_;
};

extern const char kSchema[];  // an input of each kind of permission, and outputs

struct World {
  std::string schema = Database().NewSchema();
  postgres::Pool pool{{.dsn = Database().dsn(), .schema = schema, .max_connections = 8}};
  PostgresInvitations invitation_store{pool};
  PostgresTokens token_store{pool};
  PostgresIdentities identities{pool};
  MemoryGate gate;
  PostgresAccounts people{pool, nullptr, &gate};
  PostgresStore store{pool, nullptr, &gate};
  MemorySecrets secrets;
  MemoryVersions versions;
  MemoryValues values;
  MemoryInputs inputs;
  Accounts accounts{people, secrets, {}};
  Invitations invitations{invitation_store};
  People users{people, store};
  PostgresRemovals removals{pool, nullptr, &gate};
  Departures departures{removals, people, accounts, users};
  PersonalTokens tokens{token_store};
  Oidc oidc{identities, accounts, {}};
  RepoUnits repo_units{store, secrets, versions, {}};
  Units units{store, secrets, versions, values, inputs, "http://device:8081"};
  PostgresUpdates update_store{pool, nullptr};
  UnitUpdates updates{store, update_store, {}};
  PostgresRollouts rollout_store{pool};
  Followers followers{store, rollout_store, versions, units};
  Rollouts rollouts{store, rollout_store, versions, units};
  RolloutTurns rollout_turns{store, rollout_store, versions, units, updates};
  Links links{store, {.from_unit = 3, .into_input = 2}, "secret"};
  Nodes nodes{store};
  PostgresExports own{pool};
  Exports exports{{people, identities, token_store, store, own}};
  PostgresGraphView view{pool};
  Neighbourhoods neighbourhoods{view};
  Internals internals{store, token_store};

  World();

  // A new user who is signed in.
  rpc::Caller User(const std::string& login, bool administrator = false);
  graph::v1::RepoUnit Repo(const rpc::Caller& owner, common::v1::AccessLevel level = common::v1::ACCESS_LEVEL_PUBLIC,
                           bool configured = true);
  graph::v1::Unit Unit(const rpc::Caller& owner, const graph::v1::RepoUnit& repo,
                       common::v1::AccessLevel level = common::v1::ACCESS_LEVEL_PRIVATE);
  std::string Variable(const graph::v1::Unit& unit, const std::string& name);
  absl::Status Grant(const rpc::Caller& by, const std::string& node, const std::string& subject, graph::v1::Role role,
                     graph::v1::SubjectKind kind = graph::v1::SUBJECT_KIND_USER);
  absl::Status Ungrant(const rpc::Caller& by, const std::string& node, const std::string& subject,
                       graph::v1::SubjectKind kind = graph::v1::SUBJECT_KIND_USER);
  // The same for users, which has to succeed.
  void Let(const rpc::Caller& by, const std::string& node, const rpc::Caller& whom, graph::v1::Role role);
  absl::StatusOr<graph::v1::Link> Draw(const rpc::Caller& by, const std::string& output, const std::string& input,
                                       graph::v1::LinkType type = graph::v1::LINK_TYPE_WRITE);
  // Moves all units that follow the repository.
  absl::Status FollowAll(const Uuid& repo_unit);
  // What waits in the outbox, oldest first, which is emptied.
  std::vector<bus::v1::Event> Events();
  std::int64_t Count(const std::string& table);
  void Sql(const std::string& statement);
  // The tables in whose rows `text` stands anywhere, also in bytes, separated by spaces.
  std::string TablesWith(const std::string& text);
};

inline std::string Reason(const absl::Status& status) { return InfoOf(status).reason; }
std::string Violations(const absl::Status& status);  // the fields, separated by spaces

}  // namespace pepeunit::graph_registry
