#pragma once

#include <functional>

#include "account_store.h"
#include "export_store.h"
#include "identity_store.h"
#include "pepeunit/rpc/caller.h"
#include "token_store.h"

namespace pepeunit::graph_registry {

// Everything that a user owns, as one JSON document (A5). It is read page by page while it is sent, so what changes
// meanwhile may be in it or not, and memory holds one page of it. Thread-safe.
class Exports {
 public:
  // Sends a piece, and waits until the receiver takes more; false when he is gone.
  using Write = std::function<bool(const common::v1::FileChunk&)>;

  struct Stores {
    AccountStore& people;
    IdentityStore& identities;
    TokenStore& tokens;
    GraphStore& graph;
    ExportStore& own;
  };
  explicit Exports(Stores stores) : stores_(stores) {}

  absl::Status Current(const rpc::Caller& caller, const Write& write);

 private:
  Stores stores_;
};

}  // namespace pepeunit::graph_registry
