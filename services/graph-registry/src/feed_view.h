#pragma once

#include <optional>

#include "feed_store.h"

namespace pepeunit::graph_registry {

// What a viewer is told of a change: how the node or link is now, if he may see it; that it is gone, if he may not and
// may have seen it before; else nothing. Without `event_id`. Pure.
std::optional<graph::v1::GraphChange> ViewOf(const access::Subject& viewer, const FeedChange& change,
                                             const FeedBatch& batch);

}  // namespace pepeunit::graph_registry
