#pragma once

#include <map>
#include <string>
#include <vector>

#include "feed_view.h"
#include "postgres_feed.h"
#include "rights.h"
#include "world.h"

// Somebody who reads the feed as a client does.
namespace pepeunit::graph_registry {

// All messages after `from` as this caller is told of them, in stretches of so many rows.
inline std::vector<graph::v1::GraphChange> ReadFeed(PostgresFeed& feed, const rpc::Caller& caller, FeedPlace from,
                                                    int stretch = 200) {
  std::vector<graph::v1::GraphChange> told;
  std::vector<Uuid> watching;
  if (caller.signed_in()) watching.push_back(caller.user_id);
  for (bool more = true; more;) {
    const auto batch = feed.Read(from, stretch, watching);
    if (!batch.ok()) throw std::runtime_error(batch.status().ToString());
    for (const FeedChange& change : batch->changes) {
      auto view = ViewOf(SubjectOf(caller), change, *batch);
      if (!view) continue;
      view->set_event_id(change.place.ToString());
      told.push_back(*std::move(view));
    }
    more = batch->more;
    from = batch->end;
  }
  return told;
}

// What a client shows: nodes and links by their ids.
struct Picture {
  std::map<std::string, std::string> nodes, links;  // serialized

  void Apply(const graph::v1::GraphChange& change) {
    if (change.has_node_changed())
      nodes[change.node_changed().node().id()] = change.node_changed().node().SerializeAsString();
    if (change.has_node_removed()) nodes.erase(change.node_removed().id());
    if (change.has_link_changed()) links[change.link_changed().id()] = change.link_changed().SerializeAsString();
    if (change.has_link_removed()) links.erase(change.link_removed().id());
  }

  // As reading each of them shows it.
  static Picture Of(World& w, const rpc::Caller& caller) {
    Picture picture;
    std::vector<std::string> ids, links;
    const auto read = w.pool.Transact("all", [&](pqxx::work& tx) {
      for (const auto& row : tx.exec("SELECT id FROM node")) ids.emplace_back(row[0].c_str());
      for (const auto& row : tx.exec("SELECT id FROM link")) links.emplace_back(row[0].c_str());
      return absl::OkStatus();
    });
    if (!read.ok()) throw std::runtime_error(read.ToString());
    for (const auto& id : ids) {
      graph::v1::Node node;
      if (w.nodes.Get(caller, id, node).ok()) picture.nodes[id] = node.SerializeAsString();
    }
    for (const auto& id : links) {
      graph::v1::Link link;
      if (w.links.Get(caller, id, link).ok()) picture.links[id] = link.SerializeAsString();
    }
    return picture;
  }
  bool operator==(const Picture&) const = default;
};

}  // namespace pepeunit::graph_registry
