#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"
#include "pepeunit/graph/v1/watch.pb.h"
#include "store.h"

// What changed in the graph, in the order of its feed, and how the graph is now.
namespace pepeunit::graph_registry {

// A place in the feed: a transaction's number, and one of its rows; 0 is before the first of them.
struct FeedPlace {
  std::uint64_t xid = 0;
  std::int64_t row = 0;
  auto operator<=>(const FeedPlace&) const = default;

  // `<xid>-<row>`, the id of an event. Parse takes nothing else.
  std::string ToString() const;
  static std::optional<FeedPlace> Parse(std::string_view text);
};

// One node or link that may be different now.
struct FeedChange {
  // The first and the last row that say so. It is told at the first: who goes on from there knows what they have in
  // common, and is told again by the others.
  FeedPlace place, last;
  bool link = false;
  Uuid id;
  // It is different for everybody; else only for `people`, and with `grants` for who may list the roles on it.
  bool for_all = false;
  bool grants = false;
  // Who may have seen it before: whom this level lets in, and these people.
  access::Level level = access::Level::kPrivate;
  std::vector<Uuid> people;
};

struct FeedNode {
  graph::v1::Node node;  // without `role`
  NodeFacts facts;       // without grants
  std::optional<graph::v1::UnitVersion> version;
  std::map<Uuid, access::Role> granted;  // on it or its parent, to those who watch
};

// A stretch of the feed, with the present state of all that is named in it.
struct FeedBatch {
  std::vector<FeedChange> changes;           // of each node and link one
  FeedPlace end;                             // after the stretch
  bool more = false;                         // there is a next one already
  FeedPlace forgotten;                       // what lies before is not kept any more
  std::unordered_map<Uuid, FeedNode> nodes;  // also the ends of the links
  std::unordered_map<Uuid, LinkRow> links;
};

struct FeedBounds {
  FeedPlace now;        // all before it has been committed or never will be, and nothing after it was told yet
  FeedPlace newest;     // no place that was ever told lies after it
  FeedPlace forgotten;  // what lies before is not kept any more
  FeedPlace born;       // what lies before was before the viewer was there
};

// Thread-safe. Errors as those of GraphStore.
class FeedStore {
 public:
  virtual ~FeedStore() = default;

  // For this user; nil: for whoever has no account.
  virtual absl::StatusOr<FeedBounds> Bounds(const Uuid& viewer) = 0;
  // What lies after `after`, at most `limit` rows, for these users who watch.
  virtual absl::StatusOr<FeedBatch> Read(const FeedPlace& after, int limit, const std::vector<Uuid>& watching) = 0;
  // Deletes what is older than so many hours, at most some thousands of rows; returns how many.
  virtual absl::StatusOr<std::int64_t> Forget(int hours) = 0;
};

}  // namespace pepeunit::graph_registry
