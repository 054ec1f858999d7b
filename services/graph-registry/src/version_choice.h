#pragma once

#include "fields.h"
#include "pepeunit/graph/v1/units.pb.h"
#include "ports.h"

namespace pepeunit::graph_registry {

// Whether a version is chosen, by a name that may be one; whether it is there, repo-sync knows.
void CheckPin(const graph::v1::VersionChoice& pin, Fields* fields);

// FAILED_PRECONDITION (NOT_CONFIGURED) while a repository has no default branch.
absl::Status CheckConfigured(const graph::v1::RepoUnit& repo);

// A question about a version of the repository that units may be moved to: the answer says whether it is signed, if the
// repository asks for that.
repo::v1::ResolveVersionRequest AskFor(const graph::v1::RepoUnit& repo);

// Finds versions of repositories. Thread-safe.
class VersionChoices {
 public:
  explicit VersionChoices(Versions& versions) : versions_(versions) {}

  // The version that `pin` names; without one that which units that follow stand at: the tip of the default branch, or
  // the newest release. INVALID_ARGUMENT naming the field when there is none; FAILED_PRECONDITION (NOT_CONFIGURED,
  // NO_RELEASE) without a pin.
  absl::StatusOr<repo::v1::ResolveVersionResponse> Choose(const graph::v1::RepoUnit& repo,
                                                          const graph::v1::VersionChoice& pin);

 private:
  Versions& versions_;
};

// As units stand at it. One that follows releases stands at no branch.
graph::v1::UnitVersion VersionOf(const repo::v1::ResolveVersionResponse& resolved, const graph::v1::RepoUnit& repo,
                                 bool follow);

}  // namespace pepeunit::graph_registry
