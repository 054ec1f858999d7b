#include "follow_problem.h"

#include "pepeunit/base/errors.h"
#include "version_files.h"

namespace pepeunit::graph_registry {
namespace {

constexpr std::size_t kMostDetail = 512;

graph::v1::FollowProblemReason ReasonOf(const std::string& reason) {
  if (reason == "INVALID_REPOSITORY") return graph::v1::FOLLOW_PROBLEM_REASON_INVALID_FILES;
  if (reason == "NOT_CONFIGURED") return graph::v1::FOLLOW_PROBLEM_REASON_BRANCH_GONE;
  if (reason == "UNSIGNED_VERSION") return graph::v1::FOLLOW_PROBLEM_REASON_UNSIGNED;
  if (reason == "NO_RELEASE") return graph::v1::FOLLOW_PROBLEM_REASON_NO_RELEASE;
  if (reason == "REPOSITORY_NOT_READY") return graph::v1::FOLLOW_PROBLEM_REASON_REPOSITORY_NOT_READY;
  return graph::v1::FOLLOW_PROBLEM_REASON_FAILED;
}

}  // namespace

bool Passes(const absl::Status& status) { return absl::IsUnavailable(status) || InfoOf(status).retry_after_ms > 0; }

std::string DetailOf(const absl::Status& status) {
  const bool inside = status.code() == absl::StatusCode::kInternal || status.code() == absl::StatusCode::kUnknown;
  return inside ? "The unit could not be moved; the log of the instance says why."
                : Shorten(std::string(status.message()), kMostDetail - 3);
}

graph::v1::FollowProblem FollowProblemOf(const absl::Status& status, const repo::v1::ResolveVersionResponse& tip) {
  graph::v1::FollowProblem problem;
  problem.set_reason(ReasonOf(InfoOf(status).reason));
  problem.set_commit(tip.commit());
  problem.set_detail(DetailOf(status));
  if (problem.reason() != graph::v1::FOLLOW_PROBLEM_REASON_INVALID_FILES) return problem;
  for (auto& wrong : FirstProblems(tip)) *problem.add_problems() = std::move(wrong);
  return problem;
}

}  // namespace pepeunit::graph_registry
