#include "router.h"

#include <algorithm>
#include <set>

#include "pepeunit/archive/v1/archive.pb.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/graph/v1/graph.pb.h"
#include "pepeunit/graph/v1/invitations.pb.h"
#include "pepeunit/graph/v1/nodes.pb.h"
#include "pepeunit/graph/v1/oidc.pb.h"
#include "pepeunit/graph/v1/repo_units.pb.h"
#include "pepeunit/graph/v1/rollouts.pb.h"
#include "pepeunit/graph/v1/tokens.pb.h"
#include "pepeunit/graph/v1/units.pb.h"
#include "pepeunit/graph/v1/users.pb.h"
#include "pepeunit/graph/v1/watch.pb.h"
#include "pepeunit/log/v1/history.pb.h"
#include "pepeunit/log/v1/prometheus.pb.h"
#include "pepeunit/log/v1/sql.pb.h"
#include "pepeunit/log/v1/values.pb.h"
#include "pepeunit/repo/v1/repositories.pb.h"

namespace pepeunit::gateway {
namespace {

// Two templates that differ only in the names of their fields answer the same paths.
std::string ShapeOf(const Binding& binding) {
  std::string shape = binding.verb + ' ';
  bool inside = false;
  for (char c : binding.path.text()) {
    if (c == '{') inside = true;
    if (!inside) shape += c;
    if (c == '}') {
      inside = false;
      shape += "{}";
    }
  }
  return shape;
}

}  // namespace

absl::StatusOr<Router> Router::Of(std::vector<Binding> bindings) {
  std::set<std::string> shapes;
  for (const Binding& binding : bindings) {
    if (!shapes.insert(ShapeOf(binding)).second) {
      return absl::InvalidArgumentError("two operations answer " + binding.verb + " " + binding.path.text());
    }
  }
  std::stable_sort(bindings.begin(), bindings.end(),
                   [](const Binding& a, const Binding& b) { return a.path.IsMoreLiteralThan(b.path); });
  Router router;
  router.bindings_ = std::move(bindings);
  return router;
}

Router::Match Router::Find(std::string_view verb, std::string_view path) const {
  if (verb == "HEAD") verb = "GET";
  Match match;
  for (const Binding& binding : bindings_) {
    auto captures = binding.path.Match(path);
    if (!captures) continue;
    match.allowed.push_back(binding.verb);
    if (match.binding == nullptr && binding.verb == verb) {
      match.binding = &binding;
      match.captures = *std::move(captures);
    }
  }
  std::sort(match.allowed.begin(), match.allowed.end());
  match.allowed.erase(std::unique(match.allowed.begin(), match.allowed.end()), match.allowed.end());
  return match;
}

absl::StatusOr<std::vector<Binding>> LinkedBindings() {
  // Naming a message of each file also makes the linker keep it. The tests compare this list with proto/.
  const google::protobuf::FileDescriptor* const files[] = {
      graph::v1::User::descriptor()->file(),
      graph::v1::RepoUnit::descriptor()->file(),
      graph::v1::Unit::descriptor()->file(),
      graph::v1::Node::descriptor()->file(),
      repo::v1::Branch::descriptor()->file(),
      archive::v1::DownloadUnitArchiveRequest::descriptor()->file(),
      log::v1::VariableValue::descriptor()->file(),
      graph::v1::PersonalToken::descriptor()->file(),
      graph::v1::Identity::descriptor()->file(),
      graph::v1::Invitation::descriptor()->file(),
      graph::v1::GraphNode::descriptor()->file(),
      graph::v1::GraphChange::descriptor()->file(),
      graph::v1::Rollout::descriptor()->file(),
      log::v1::QueryHistoryRequest::descriptor()->file(),
      log::v1::PrometheusQueryRequest::descriptor()->file(),
      log::v1::SqlReader::descriptor()->file(),
  };
  std::vector<Binding> all;
  for (const auto* file : files) {
    PEPEUNIT_ASSIGN_OR_RETURN(auto found, BindingsOf(*file));
    all.insert(all.end(), found.begin(), found.end());
  }
  return all;
}

absl::StatusOr<Router> LinkedRouter() {
  PEPEUNIT_ASSIGN_OR_RETURN(auto bindings, LinkedBindings());
  return Router::Of(std::move(bindings));
}

}  // namespace pepeunit::gateway
