#pragma once

#include <utility>

#include "ports.h"
#include "schemas.h"

// The other services, as far as the timed operations meet them: they cost nothing and keep nothing.
namespace pepeunit::bench {

class NoSecrets final : public graph_registry::SecretBox {
 public:
  absl::StatusOr<std::string> Seal(const std::string& plaintext, const std::string&) override { return plaintext; }
  absl::StatusOr<std::string> SealCredentials(const Uuid&, const graph::v1::RepoCredentials&) override { return ""; }
  absl::StatusOr<std::string> OpenEnv(const Uuid&, const std::string&) override { return "{}"; }
  absl::StatusOr<std::string> HashPassword(const std::string&) override { return ""; }
  absl::StatusOr<bool> VerifyPassword(const std::string&, const std::string&) override { return false; }
  absl::StatusOr<graph_registry::IssuedAccess> IssueAccessToken(const Uuid&, const Uuid&, bool, std::int32_t) override {
    return graph_registry::IssuedAccess{};
  }
  absl::StatusOr<std::string> IssueUnitToken(const Uuid&, std::uint32_t) override { return ""; }
};

// Each commit of a branch `main` has the schema of its first digit: 'b' the next one, else the one that units have.
class TwoVersions final : public graph_registry::Versions {
 public:
  absl::StatusOr<repo::v1::ResolveVersionResponse> Resolve(const repo::v1::ResolveVersionRequest& request) override {
    repo::v1::ResolveVersionResponse version;
    version.set_commit(request.has_commit() ? request.commit() : std::string(40, 'a'));
    version.set_branch("main");
    version.set_schema_json(version.commit()[0] == 'b' ? kNextSchema : kSchema);
    version.set_env_example_json("{}");
    return version;
  }
};

class NoValues final : public graph_registry::ValueStream {
 public:
  absl::Status Write(const bus::v1::InputWrite&) override { return absl::OkStatus(); }
};

// No input was ever written.
class NoInputs final : public graph_registry::InputValues {
 public:
  absl::StatusOr<std::map<Uuid, bus::v1::Scalar>> Of(const Uuid&) override { return std::map<Uuid, bus::v1::Scalar>(); }
};

}  // namespace pepeunit::bench
