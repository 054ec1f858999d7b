#include "version_choice.h"

namespace pepeunit::graph_registry {
namespace {

bool IsCommit(const std::string& text) {
  return text.size() == 40 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

bool FollowsReleases(const graph::v1::RepoUnit& repo) { return repo.follow_mode() == graph::v1::FOLLOW_MODE_RELEASES; }

}  // namespace

void CheckPin(const graph::v1::VersionChoice& pin, Fields* fields) {
  const auto name = [&](const char* field, const std::string& value) {
    if (value.empty() || value.size() > 255) fields->Fail(field, "must have 1 to 255 characters");
  };
  switch (pin.choice_case()) {
    case graph::v1::VersionChoice::kBranch:
      return name("pin.branch", pin.branch());
    case graph::v1::VersionChoice::kTag:
      return name("pin.tag", pin.tag());
    case graph::v1::VersionChoice::kCommit:
      if (!IsCommit(pin.commit())) fields->Fail("pin.commit", "must have 40 lower-case hex digits");
      return;
    case graph::v1::VersionChoice::CHOICE_NOT_SET:
      fields->Fail("pin", "must name a branch, a tag or a commit");
  }
}

absl::Status CheckConfigured(const graph::v1::RepoUnit& repo) {
  if (!repo.default_branch().empty()) return absl::OkStatus();
  return Error(absl::StatusCode::kFailedPrecondition, "NOT_CONFIGURED",
               "The repository has no default branch yet: PATCH /api/v1/repo-units/" + repo.id() +
                   " with default_branch first.");
}

repo::v1::ResolveVersionRequest AskFor(const graph::v1::RepoUnit& repo) {
  repo::v1::ResolveVersionRequest ask;
  ask.set_repo_unit_id(repo.id());
  *ask.mutable_signing_keys() = repo.signing_keys().keys();
  return ask;
}

absl::StatusOr<repo::v1::ResolveVersionResponse> VersionChoices::Choose(const graph::v1::RepoUnit& repo,
                                                                        const graph::v1::VersionChoice& pin) {
  repo::v1::ResolveVersionRequest ask = AskFor(repo);
  std::string field;
  switch (pin.choice_case()) {
    case graph::v1::VersionChoice::kBranch:
      ask.set_branch(pin.branch());
      field = "pin.branch";
      break;
    case graph::v1::VersionChoice::kTag:
      ask.set_tag(pin.tag());
      field = "pin.tag";
      break;
    case graph::v1::VersionChoice::kCommit:
      ask.set_commit(pin.commit());
      field = "pin.commit";
      break;
    case graph::v1::VersionChoice::CHOICE_NOT_SET:
      if (FollowsReleases(repo)) {
        ask.mutable_newest_release()->set_pre_releases(repo.pre_releases());
      } else {
        ask.set_branch(repo.default_branch());
      }
      break;
  }
  auto version = versions_.Resolve(ask);
  if (!absl::IsNotFound(version.status())) return version;
  if (!field.empty())
    return InvalidField(field, "the local copy of the repository has no such version; sync it, or choose another");
  if (FollowsReleases(repo)) {
    return Error(absl::StatusCode::kFailedPrecondition, "NO_RELEASE",
                 std::string("No tag of the repository names a release, as 1.2.3 or v1.2.3") +
                     (repo.pre_releases() ? "." : "; pre-releases, as 1.2.3-rc.1, do not count."));
  }
  return Error(absl::StatusCode::kFailedPrecondition, "NOT_CONFIGURED",
               "The default branch '" + repo.default_branch() + "' is gone from the repository; choose another.");
}

graph::v1::UnitVersion VersionOf(const repo::v1::ResolveVersionResponse& resolved, const graph::v1::RepoUnit& repo,
                                 bool follow) {
  graph::v1::UnitVersion version;
  version.set_repo_unit_id(repo.id());
  version.set_commit(resolved.commit());
  version.set_tag(resolved.tag());
  // Which of the branches contains a tag may change with each sync, and means nothing.
  if (!follow || !FollowsReleases(repo)) version.set_branch(resolved.branch());
  version.set_follow(follow);
  return version;
}

}  // namespace pepeunit::graph_registry
