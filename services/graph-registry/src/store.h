#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "pepeunit/access/access.h"
#include "pepeunit/base/uuid.h"
#include "pepeunit/bus/v1/events.pb.h"
#include "pepeunit/graph/v1/internal.pb.h"
#include "pepeunit/graph/v1/nodes.pb.h"
#include "pepeunit/graph/v1/repo_units.pb.h"
#include "pepeunit/graph/v1/units.pb.h"
#include "pepeunit/schema/schema.h"

// Where the graph is kept. Each call is one transaction, with the events that tell of its change and the audit of who
// made it. Thread-safe. Absent things are NOT_FOUND, taken unique values ALREADY_EXISTS, lost connections UNAVAILABLE;
// and what an actor's rights say when they are asked again.
namespace pepeunit::graph_registry {

// A right that a change rests on.
struct Need {
  Uuid node;
  access::Role role = access::Role::kOwner;
  std::string what;  // as errors call the node
};

// Who makes a change: for the audit, which commits with it. And what lets him, which is asked again in the transaction
// of the change.
struct Actor {
  Uuid user;  // nil: the instance itself
  std::string client_address;
  Uuid token{};    // the personal access token that he came with; nil: none
  Uuid session{};  // that, or the session that he came with; nil: he did not sign in
  access::Subject subject{};
  std::vector<Need> needs{};
  // Of a request that makes a node: the same key with the same request gets the node that the first one made.
  std::string idempotency_key{};
  std::string request_hash{};
};

// What an access decision needs to know of a node.
struct NodeFacts {
  Uuid id;
  graph::v1::NodeType type = graph::v1::NODE_TYPE_UNSPECIFIED;
  Uuid parent_id;  // nil when there is none
  std::int64_t version = 0;
  std::string name;
  access::Node access;  // with the grants to whoever it was asked for
};

struct VariableRow {
  NodeFacts facts;
  graph::v1::Variable variable;
  // The grant on it to the unit at the other end of a link.
  access::Role granted_to_peer = access::Role::kNone;
  // Of an input: what schema.json allows, whatever a maintainer closed.
  bool schema_lets_people = false, schema_lets_links = false;
  // Of an output: the policy of schema.json.
  schema::Logging schema_logging{};
  // What maintainers made of it, whatever schema.json says.
  struct Choices {
    bool accepts_people = true, accepts_links = true;  // inputs
    std::optional<common::v1::Logging> logging{};      // outputs
  };
  Choices choices{};

  // Takes what schema.json declares, as far as the maintainers let it; the facts are there already.
  void Declare(graph::v1::Variable definition, Choices chosen);
};

// A change of a node's level, worked out beforehand.
struct LevelWrite {
  Uuid node;
  std::int64_t expected_version = 0;
  access::Level level = access::Level::kPrivate;
  bool with_variables = false;  // they take the level too; else those that are more open take it
};

// Whether somebody may change a role: by the node's facts for him, and the role that the subject has so far.
using MayChangeGrant = std::function<absl::Status(const NodeFacts& facts, access::Role before)>;

// Which records of the audit are asked for; nil ids ask for all.
struct AuditFilter {
  Uuid node, actor;
  Uuid owner;  // only of nodes that are or were this user's
};

// A page of a list: what lies after `after` (nil: from the beginning), at most `limit`.
struct Page {
  Uuid after;
  int limit = 50;
};

// A unit's keys and env.json, each sealed for it.
struct SealedEnv {
  std::uint32_t token_generation = 1;
  std::string sync_key, env;
  std::vector<std::string> keys;  // names of what env has from the sample
};

struct NewUnit {
  graph::v1::Unit unit;  // with its ids and version
  SealedEnv env;
  std::vector<graph::v1::Variable> variables;  // in the order of schema.json
};

struct UnitSecrets {
  std::uint32_t token_generation = 0;
  bool stopped = false;  // an administrator stopped its owner's devices
  std::uint64_t profile_version = 0;
  std::string sealed_sync_key, sealed_env;
  std::optional<std::vector<std::string>> env_keys;  // names of what env has from the sample; nullopt: not on record
  std::uint32_t update_attempt = 0;                  // that the device is offered; 0: none
};

// A unit's move to another version, worked out beforehand.
struct MoveWrite {
  Uuid unit;
  std::int64_t expected_version = 0;
  graph::v1::UnitVersion version;
  std::vector<graph::v1::Variable> variables;  // all of the new version in its order; those that stay keep their ids
  std::vector<std::string> added, removed;     // ids
  std::string sealed_env;                      // empty: stays as it is
  std::vector<std::string> env_keys;           // names of what env has from the sample then
  bool preview = false;                        // asks only whether it would be refused
};

// A repository whose units have to move, which follow it: those after `after`, with the sync of this time.
struct FollowTurn {
  Uuid repo_unit, after;
  std::int64_t due = 0;
};

// A link with all that decides whether it still holds: the grants are those to its creator.
struct LinkRow {
  graph::v1::Link link;  // as it was drawn; its state follows from the rest
  bool creator_exists = false, creator_administrator = false;
  bool creator_stopped = false;  // blocked, and what he set up with him
  VariableRow output, input;
};

// A link, and which of its ends the viewer may see: at least one.
struct SeenLink {
  LinkRow row;
  bool output = false, input = false;
};

// How many links may leave the outputs of one unit, and meet in one input (G5).
inline constexpr std::int64_t kMostLinksFromUnit = 5'000;
struct LinkBounds {
  std::int64_t from_unit = 1000, into_input = 100;
  // Whoever may read an output may draw links from it: half of what a unit carries is kept for its owner, and one other
  // cannot use up the other half.
  std::int64_t of_others() const { return (from_unit + 1) / 2; }
  std::int64_t of_one_other() const { return std::max<std::int64_t>(2, from_unit / 10); }
};

// How much one user may own (A5). Administrators are not bound by it, nor is what is handed over to somebody.
struct Quotas {
  std::int64_t repo_units = 100, units = 1000, variables = 20'000;
};

// Links that a viewer may see can lie far apart: reading stops after so many.
inline constexpr int kMostLinksRead = 20'000;
struct LinkPage {
  std::vector<SeenLink> links;  // one more than the page when there is a next one
  Uuid read_to;                 // where reading stopped before the end; nil when it did not
};

class GraphStore {
 public:
  virtual ~GraphStore() = default;

  // Of any node, for this subject. A variable's ceiling is its unit's level.
  virtual absl::StatusOr<NodeFacts> GetFacts(const Uuid& id, const access::Subject& viewer) = 0;
  // Without `role`.
  virtual absl::StatusOr<graph::v1::Node> GetNode(const Uuid& id) = 0;
  // FAILED_PRECONDITION (VERSION_MISMATCH) unless the node's version is as expected.
  virtual absl::Status SetLevel(const Actor& actor, const LevelWrite& write) = 0;

  virtual absl::StatusOr<std::vector<graph::v1::Grant>> ListGrants(const Uuid& node, const Page& page) = 0;
  // `may` decides while nobody else can change a role on the node or its parent. The grant as it is then;
  // RESOURCE_EXHAUSTED when `most` subjects have a role on the node already.
  virtual absl::StatusOr<graph::v1::Grant> PutGrant(const Actor& actor, const graph::v1::Grant& grant,
                                                    std::int64_t most, const MayChangeGrant& may) = 0;
  // Of the grant's subject. NOT_FOUND when it has none, after `may`.
  virtual absl::Status DeleteGrant(const Actor& actor, const graph::v1::Grant& grant, const MayChangeGrant& may) = 0;

  // Newest first.
  virtual absl::StatusOr<std::vector<graph::v1::AuditRecord>> ListAudit(const AuditFilter& filter,
                                                                        const Page& page) = 0;
  // Deletes records older than so many days, at most some thousands; returns how many.
  virtual absl::StatusOr<std::int64_t> ForgetAudit(int days) = 0;
  // Deletes idempotency keys that are older than a day, at most some thousands; returns how many.
  virtual absl::StatusOr<std::int64_t> ForgetIdempotencyKeys() = 0;

  // The id of what was made: another one than asked for when the actor's idempotency key was used before.
  // RESOURCE_EXHAUSTED when the owner's quota is used up; so for units.
  virtual absl::StatusOr<Uuid> CreateRepoUnit(const Actor& actor, const graph::v1::RepoUnit& repo,
                                              const std::string& sealed_credentials) = 0;
  virtual absl::StatusOr<graph::v1::RepoUnit> GetRepoUnit(const Uuid& id) = 0;
  virtual absl::StatusOr<std::vector<graph::v1::RepoUnit>> ListRepoUnits(const access::Subject& viewer,
                                                                         const Page& page) = 0;
  // Writes all that can be changed of it; credentials when given. FAILED_PRECONDITION
  // (VERSION_MISMATCH) unless the node's version is `expected_version`.
  virtual absl::Status UpdateRepoUnit(const Actor& actor, const graph::v1::RepoUnit& repo,
                                      const std::optional<std::string>& sealed_credentials,
                                      std::int64_t expected_version) = 0;
  // FAILED_PRECONDITION: VERSION_MISMATCH, or IN_USE while units are made from it, with their number and how many the
  // actor may not see.
  virtual absl::Status DeleteRepoUnit(const Actor& actor, const Uuid& id, std::int64_t expected_version) = 0;
  virtual absl::Status RequestSync(const Actor& actor, const Uuid& id) = 0;
  // Keeps the state unless a newer one is there. Unknown repositories are ignored. With a sync that ended well the
  // units that follow become due. The host key that was trusted on first use is pinned when none is.
  virtual absl::Status ApplyRepoSynced(const bus::v1::RepoSynced& synced) = 0;
  // Of the repositories whose units have to move the one that has waited longest; nobody else gets it for half a
  // minute, or until EndFollowTurn. nullopt when there is none.
  virtual absl::StatusOr<std::optional<FollowTurn>> TakeFollowTurn() = 0;
  // It goes on after this unit (nil: it is done, unless another sync came meanwhile), not before `wait` has passed.
  virtual absl::Status EndFollowTurn(const FollowTurn& turn, const Uuid& after, std::chrono::milliseconds wait) = 0;
  virtual absl::StatusOr<std::vector<graph::v1::RepositoryToKeep>> ListRepositoriesToKeep(const Page& page) = 0;

  virtual absl::StatusOr<Uuid> CreateUnit(const Actor& actor, const NewUnit& unit) = 0;
  virtual absl::StatusOr<graph::v1::Unit> GetUnit(const Uuid& id) = 0;
  virtual absl::StatusOr<UnitSecrets> GetUnitSecrets(const Uuid& id) = 0;
  // `repo_unit` nil: of all repositories.
  virtual absl::StatusOr<std::vector<graph::v1::Unit>> ListUnits(const access::Subject& viewer, const Uuid& repo_unit,
                                                                 const Page& page) = 0;
  // The name, the group and the level; variables that are more open than it are closed as far.
  virtual absl::Status UpdateUnit(const Actor& actor, const graph::v1::Unit& unit, std::int64_t expected_version) = 0;
  // In one transaction: what goes, what comes and what stays. FAILED_PRECONDITION (VERSION_MISMATCH) unless the unit's
  // version is as expected. PERMISSION_DENIED to the instance itself when the unit's owner may not see its repository.
  virtual absl::Status MoveUnit(const Actor& actor, const MoveWrite& move) = 0;
  // Units that follow the repository and do not stand at this commit of this branch, by id.
  virtual absl::StatusOr<std::vector<Uuid>> ListBehind(const Uuid& repo_unit, const std::string& branch,
                                                       const std::string& commit, const Page& page) = 0;
  // How many roles are given on each of the unit's variables that has any, by id.
  virtual absl::StatusOr<std::map<std::string, std::int32_t>> CountVariableGrants(const Uuid& unit) = 0;
  // How many of these units follow on and do not when the repository gets that level, by what their owners may see.
  struct FollowersDifference {
    std::int32_t stop = 0, resume = 0;
  };
  virtual absl::StatusOr<FollowersDifference> CompareFollowers(const Uuid& repo_unit, access::Level level) = 0;
  // Of one unit, or with a nil `unit` of all that follow the repository. Its time is that of its first telling.
  virtual absl::Status SetFollowProblem(const Uuid& repo_unit, const Uuid& unit,
                                        const graph::v1::FollowProblem& problem) = 0;
  // Of the units that stand at this commit of this branch.
  virtual absl::Status ClearFollowProblems(const Uuid& repo_unit, const std::string& branch,
                                           const std::string& commit) = 0;
  // Keys, env and token generation in one. FAILED_PRECONDITION (VERSION_MISMATCH) unless the unit's version is as
  // expected.
  virtual absl::Status ResetEnv(const Actor& actor, const Uuid& unit, const SealedEnv& env,
                                std::int64_t expected_version) = 0;
  // With its variables, their links, and the roles that were given to it. FAILED_PRECONDITION (VERSION_MISMATCH).
  virtual absl::Status DeleteUnit(const Actor& actor, const Uuid& id, std::int64_t expected_version) = 0;

  virtual absl::StatusOr<VariableRow> GetVariable(const Uuid& id, const access::Subject& viewer) = 0;
  // In the order of schema.json, each with the grants to this subject.
  virtual absl::StatusOr<std::vector<VariableRow>> ListVariables(const Uuid& unit, const access::Subject& viewer) = 0;

  // At most `limit` and one more, in the order of their ids; those asked for by id that may not be seen are missing.
  virtual absl::StatusOr<std::vector<graph::v1::FoundOutput>> FindOutputs(const graph::v1::FindOutputsRequest& filter,
                                                                          const access::Subject& viewer) = 0;
  virtual absl::StatusOr<std::vector<graph::v1::KeptHistory>> ListHistories(const Page& page) = 0;

  // What maintainers chose (VariableRow::Choices).
  virtual absl::Status UpdateVariable(const Actor& actor, const VariableRow& row, std::int64_t expected_version) = 0;

  // Runs `use` while nobody can change what lets the actor, nor what the variable accepts: whoever closes it to him
  // waits. `use` may run more than once.
  virtual absl::Status WithVariable(const Actor& actor, const Uuid& id,
                                    const std::function<absl::Status(const VariableRow&)>& use) = 0;

  // `may` decides while nobody can change what it depends on. RESOURCE_EXHAUSTED when a bound is reached.
  virtual absl::StatusOr<Uuid> CreateLink(const Actor& actor, const graph::v1::Link& link, const LinkBounds& bounds,
                                          const std::function<absl::Status(const LinkRow&)>& may) = 0;
  // NOT_FOUND also when the viewer may see neither end.
  virtual absl::StatusOr<SeenLink> GetLink(const Uuid& id, const access::Subject& viewer) = 0;
  // Of a unit or variable, by an end of its own that the viewer may see; `node` nil: all of which he may see an end.
  // Reads at most kMostLinksRead for a page.
  virtual absl::StatusOr<LinkPage> ListLinks(const access::Subject& viewer, const Uuid& node, const Page& page) = 0;
  // That a bound held back values of it at this time, Unix time in ms. Unknown links are ignored.
  virtual absl::Status MarkLink(const Uuid& id, common::v1::LinkBound bound, std::int64_t time_ms) = 0;
  virtual absl::Status DeleteLink(const Actor& actor, const Uuid& id) = 0;
  // From the outputs of a unit, by id.
  virtual absl::StatusOr<std::vector<LinkRow>> LinksFrom(const Uuid& unit) = 0;
  // That touch a unit or a variable, by id; at most kMostLinksRead.
  virtual absl::StatusOr<std::vector<LinkRow>> LinksAt(const Uuid& node) = 0;
  // Of these output and input with their creator's rights, as it would be if he drew it now.
  virtual absl::StatusOr<LinkRow> ImagineLink(const graph::v1::Link& link) = 0;
};

}  // namespace pepeunit::graph_registry
