#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "pepeunit/access/access.h"
#include "pepeunit/base/uuid.h"
#include "pepeunit/bus/v1/events.pb.h"
#include "pepeunit/graph/v1/internal.pb.h"
#include "pepeunit/graph/v1/repo_units.pb.h"
#include "pepeunit/graph/v1/units.pb.h"
#include "pepeunit/graph/v1/users.pb.h"

// Where the graph is kept. Each call is one transaction, with the events that tell of its change. Thread-safe.
// Absent things are NOT_FOUND, taken unique values ALREADY_EXISTS, lost connections UNAVAILABLE.
namespace pepeunit::graph_registry {

struct Account {
  graph::v1::User user;
  std::string password_hash;
};

struct SessionRow {
  Uuid id, user_id;
  std::int64_t expires_at_ms = 0;
};

// Wrong passwords for one login since the last right one.
struct Failures {
  int count = 0;
  std::int64_t age_ms = 0;  // since the last of them
};

// What an access decision needs to know of a node.
struct NodeFacts {
  Uuid id;
  graph::v1::NodeType type = graph::v1::NODE_TYPE_UNSPECIFIED;
  Uuid parent_id;  // nil when there is none
  std::int64_t version = 0;
  access::Node access;  // without a grant
};

struct VariableRow {
  NodeFacts facts;
  graph::v1::Variable variable;
};

// A page of a list: what lies after `after` (nil: from the beginning), at most `limit`.
struct Page {
  Uuid after;
  int limit = 50;
};

struct NewUnit {
  graph::v1::Unit unit;  // with its ids and version
  std::string sealed_sync_key, sealed_env;
  std::vector<graph::v1::Variable> variables;  // in the order of schema.json
};

struct UnitSecrets {
  std::uint32_t token_generation = 0;
  std::string sealed_sync_key, sealed_env;
};

// A link as the profile of its output's unit needs it: with all that decides whether it still holds.
struct LinkRow {
  graph::v1::Link link;
  bool creator_administrator = false;
  VariableRow output, input;
};

// Links that a viewer may see can lie far apart: reading stops after so many.
inline constexpr int kMostLinksRead = 20'000;
struct LinkPage {
  std::vector<graph::v1::Link> links;  // one more than the page when there is a next one
  Uuid read_to;                        // where reading stopped before the end; nil when it did not
};

class GraphStore {
 public:
  virtual ~GraphStore() = default;

  virtual absl::Status CreateAccount(const Account& account) = 0;
  virtual absl::StatusOr<Account> FindAccount(const std::string& login) = 0;
  virtual absl::StatusOr<graph::v1::User> GetUser(const Uuid& id) = 0;
  virtual absl::StatusOr<bool> HasAdministrator() = 0;

  // Ends the oldest sessions of the user beyond the bound.
  virtual absl::Status CreateSession(const SessionRow& session, const std::string& refresh_hash) = 0;
  // The living session of a refresh token that was not used yet.
  virtual absl::StatusOr<SessionRow> FindSession(const std::string& refresh_hash) = 0;
  // Replaces the refresh token and returns the session. A hash that was replaced before ends the session and is
  // NOT_FOUND, as an unknown or expired one is.
  virtual absl::StatusOr<SessionRow> RotateSession(const std::string& refresh_hash, const std::string& new_hash,
                                                   std::int64_t new_expires_at_ms) = 0;
  virtual absl::Status DeleteSession(const Uuid& id, const Uuid& user) = 0;

  virtual absl::StatusOr<Failures> GetFailures(const std::string& login) = 0;
  // Counts one more, unless the count is not `expected` any more: then false, and nothing changes. So guesses that come
  // at once are counted one by one.
  virtual absl::StatusOr<bool> AddFailure(const std::string& login, int expected) = 0;
  // Takes one back: the password could not be checked at all.
  virtual absl::Status ForgiveFailure(const std::string& login) = 0;
  virtual absl::Status ClearFailures(const std::string& login) = 0;

  // Of any node. A variable's ceiling is its unit's level.
  virtual absl::StatusOr<NodeFacts> GetFacts(const Uuid& id) = 0;

  virtual absl::Status CreateRepoUnit(const graph::v1::RepoUnit& repo, const std::string& sealed_credentials) = 0;
  virtual absl::StatusOr<graph::v1::RepoUnit> GetRepoUnit(const Uuid& id) = 0;
  virtual absl::StatusOr<std::vector<graph::v1::RepoUnit>> ListRepoUnits(const access::Subject& viewer,
                                                                         const Page& page) = 0;
  // Writes name, level, default branch and period; credentials when given. FAILED_PRECONDITION
  // (VERSION_MISMATCH) unless the node's version is `expected_version`.
  virtual absl::Status UpdateRepoUnit(const graph::v1::RepoUnit& repo,
                                      const std::optional<std::string>& sealed_credentials,
                                      std::int64_t expected_version) = 0;
  virtual absl::Status DeleteRepoUnit(const Uuid& id) = 0;  // FAILED_PRECONDITION while units are made from it
  virtual absl::Status RequestSync(const Uuid& id) = 0;
  // Keeps the state unless a newer one is there. Unknown repositories are ignored.
  virtual absl::Status ApplyRepoSynced(const bus::v1::RepoSynced& synced) = 0;
  virtual absl::StatusOr<std::vector<graph::v1::RepositoryToKeep>> ListRepositoriesToKeep(const Page& page) = 0;

  virtual absl::Status CreateUnit(const NewUnit& unit) = 0;
  virtual absl::StatusOr<graph::v1::Unit> GetUnit(const Uuid& id) = 0;
  virtual absl::StatusOr<UnitSecrets> GetUnitSecrets(const Uuid& id) = 0;
  // `repo_unit` nil: of all repositories.
  virtual absl::StatusOr<std::vector<graph::v1::Unit>> ListUnits(const access::Subject& viewer, const Uuid& repo_unit,
                                                                 const Page& page) = 0;
  virtual absl::Status UpdateUnit(const graph::v1::Unit& unit, std::int64_t expected_version) = 0;  // name and level
  virtual absl::Status DeleteUnit(const Uuid& id) = 0;

  virtual absl::StatusOr<VariableRow> GetVariable(const Uuid& id) = 0;
  virtual absl::StatusOr<std::vector<graph::v1::Variable>> ListVariables(const Uuid& unit) = 0;

  // RESOURCE_EXHAUSTED when `most` links leave the outputs of that unit already.
  virtual absl::Status CreateLink(const graph::v1::Link& link, std::int64_t most) = 0;
  virtual absl::StatusOr<graph::v1::Link> GetLink(const Uuid& id) = 0;
  // Of a unit or variable; `node` nil: all. Only those whose both ends the viewer may see. Reads at most
  // kMostLinksRead for a page.
  virtual absl::StatusOr<LinkPage> ListLinks(const access::Subject& viewer, const Uuid& node, const Page& page) = 0;
  virtual absl::Status DeleteLink(const Uuid& id) = 0;
  // From the outputs of a unit.
  virtual absl::StatusOr<std::vector<LinkRow>> LinksFrom(const Uuid& unit) = 0;
};

}  // namespace pepeunit::graph_registry
