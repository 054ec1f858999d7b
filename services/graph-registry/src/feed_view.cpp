#include "feed_view.h"

#include <algorithm>

#include "links.h"

namespace pepeunit::graph_registry {
namespace {

access::Role RoleOn(const access::Subject& viewer, const FeedNode& node) {
  access::Node facts = node.facts.access;
  const auto granted = node.granted.find(viewer.id);
  if (granted != node.granted.end()) facts.granted = granted->second;
  return access::RoleOf(viewer, facts);
}

bool Sees(const access::Subject& viewer, const FeedBatch& batch, const Uuid& node) {
  const auto found = batch.nodes.find(node);
  return found != batch.nodes.end() && RoleOn(viewer, found->second) >= access::Role::kReader;
}

bool Concerns(const access::Subject& viewer, const FeedChange& change) {
  return !viewer.id.IsNil() && std::find(change.people.begin(), change.people.end(), viewer.id) != change.people.end();
}

bool MayHaveSeen(const access::Subject& viewer, const FeedChange& change) {
  const access::Node before{.owner_id = {},
                            .level = change.level,
                            .granted = Concerns(viewer, change) ? access::Role::kReader : access::Role::kNone};
  return access::RoleOf(viewer, before) >= access::Role::kReader;
}

}  // namespace

std::optional<graph::v1::GraphChange> ViewOf(const access::Subject& viewer, const FeedChange& change,
                                             const FeedBatch& batch) {
  graph::v1::GraphChange told;
  if (change.link) {
    const auto found = batch.links.find(change.id);
    if (found != batch.links.end()) {
      const LinkRow& row = found->second;
      const SeenLink seen{row, Sees(viewer, batch, row.output.facts.id), Sees(viewer, batch, row.input.facts.id)};
      if (seen.output || seen.input) {
        *told.mutable_link_changed() = Show(seen);
        return told;
      }
    }
    if (!MayHaveSeen(viewer, change)) return std::nullopt;
    told.mutable_link_removed()->set_id(change.id.ToString());
    return told;
  }
  const auto found = batch.nodes.find(change.id);
  const access::Role role = found == batch.nodes.end() ? access::Role::kNone : RoleOn(viewer, found->second);
  if (role >= access::Role::kReader) {
    const bool governs = change.grants && role >= access::Role::kMaintainer;
    if (!change.for_all && !governs && !Concerns(viewer, change)) return std::nullopt;
    auto* shown = told.mutable_node_changed();
    *shown->mutable_node() = found->second.node;
    shown->mutable_node()->set_role(static_cast<graph::v1::Role>(role));
    if (found->second.version) *shown->mutable_version() = *found->second.version;
    shown->set_grants_changed(governs);
    return told;
  }
  if (!MayHaveSeen(viewer, change)) return std::nullopt;
  told.mutable_node_removed()->set_id(change.id.ToString());
  return told;
}

}  // namespace pepeunit::graph_registry
