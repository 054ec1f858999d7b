#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "pepeunit/base/uuid.h"
#include "pepeunit/bus/v1/events.pb.h"
#include "pepeunit/bus/v1/values.pb.h"
#include "pepeunit/graph/v1/repo_units.pb.h"
#include "pepeunit/repo/v1/repositories.pb.h"

// What the domain needs of the other services. Implementations are thread-safe and may wait.
namespace pepeunit::graph_registry {

struct IssuedAccess {
  std::string token;
  std::int64_t expires_at_s = 0;
};

// The crypto service.
class SecretBox {
 public:
  virtual ~SecretBox() = default;
  virtual absl::StatusOr<std::string> Seal(const std::string& plaintext, const std::string& context) = 0;
  // As repo-sync opens them, with the context `graph.repo_unit.credentials:<uuid>`.
  virtual absl::StatusOr<std::string> SealCredentials(const Uuid& repo_unit,
                                                      const graph::v1::RepoCredentials& credentials) = 0;
  // A unit's env.json, the only thing that is opened here.
  virtual absl::StatusOr<std::string> OpenEnv(const Uuid& unit, const std::string& sealed) = 0;
  virtual absl::StatusOr<std::string> HashPassword(const std::string& password) = 0;
  // An empty hash costs the same time and answers false.
  virtual absl::StatusOr<bool> VerifyPassword(const std::string& password, const std::string& hash) = 0;
  virtual absl::StatusOr<IssuedAccess> IssueAccessToken(const Uuid& user, const Uuid& session, bool administrator,
                                                        std::int32_t lifetime_s) = 0;
  virtual absl::StatusOr<std::string> IssueUnitToken(const Uuid& unit, std::uint32_t generation) = 0;
};

// repo-sync.
class Versions {
 public:
  virtual ~Versions() = default;
  virtual absl::StatusOr<repo::v1::ResolveVersionResponse> Resolve(const repo::v1::ResolveVersionRequest& request) = 0;
};

// Where values pass on their way into inputs: state-logger.
class ValueGate {
 public:
  virtual ~ValueGate() = default;
  // When this returns OK, nothing passes any more that these changes forbid, also nothing that was on its way.
  virtual absl::Status Apply(const std::vector<bus::v1::UnitChanged>& changes) = 0;
};

// The newest values of inputs: state-logger.
class InputValues {
 public:
  virtual ~InputValues() = default;
  // Of those inputs of the unit that were ever written, by their ids. UNAVAILABLE while it cannot be said.
  virtual absl::StatusOr<std::map<Uuid, bus::v1::Scalar>> Of(const Uuid& unit) = 0;
};

// The stream VALUES.
class ValueStream {
 public:
  virtual ~ValueStream() = default;
  // OK when the write is durable.
  virtual absl::Status Write(const bus::v1::InputWrite& write) = 0;
};

}  // namespace pepeunit::graph_registry
