#pragma once

#include "pepeunit/rpc/caller.h"
#include "rollout_store.h"
#include "units.h"

namespace pepeunit::graph_registry {

// Units that follow their repositories (U9). Thread-safe.
class Followers {
 public:
  Followers(GraphStore& store, RolloutStore& rollouts, Versions& versions, Units& units)
      : store_(store), rollouts_(rollouts), choices_(versions), units_(units) {}

  // Moves units that follow the repository: those after `after`, at most `most`. The last of them when there may be
  // more; nil when all are done. Of a repository with a plan it begins a rollout instead, which moves them; a version
  // whose rollout runs, or ended before it was done, is left to that. A version that no unit can be made from moves
  // nobody, and each unit that could not be moved tells why. UNAVAILABLE: call it again; what was moved stays moved.
  absl::StatusOr<Uuid> Follow(const Uuid& repo_unit, const Uuid& after, int most);

  // What that would do now.
  absl::Status Preview(const rpc::Caller& caller, const graph::v1::PreviewFollowRequest& request,
                       graph::v1::FollowPreview& out);

 private:
  absl::StatusOr<Uuid> MoveSome(const graph::v1::UnitVersion& to, const VersionFiles& files, const Page& page);
  absl::StatusOr<Uuid> Begin(const graph::v1::RepoUnit& repo, const graph::v1::UnitVersion& to,
                             const std::vector<RolloutCandidate>& behind);

  GraphStore& store_;
  RolloutStore& rollouts_;
  VersionChoices choices_;
  Units& units_;
};

}  // namespace pepeunit::graph_registry
