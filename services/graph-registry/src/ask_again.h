#pragma once

#include <pqxx/pqxx>
#include <string>

#include "pepeunit/postgres/params.h"
#include "store.h"

// Rights as they are in the transaction that uses them. What was decided before it began may not be true any more: a
// change may have waited for another service, or in a queue.
namespace pepeunit::graph_registry {

// Whether the user `a` may call with this session or personal access token, an expression.
std::string MayCall(const std::string& session);

// Asks again what the actor's change rests on, and holds it until the transaction ends: whoever takes it away meanwhile
// waits for the change, or else the change is refused. UNAUTHENTICATED when his session or token has ended, UNAVAILABLE
// when he is an administrator no more, NOT_FOUND or PERMISSION_DENIED as libs/access decides on his needs.
// Call it before anything else but LockAdministrators: it locks his account, then the nodes.
absl::Status AskAgain(pqxx::work& tx, const Actor& actor);

// Holds a role on the node or its parent, so that none is changed, nor a link drawn by one, until the transaction ends,
// and reads what the subject's rights depend on then.
absl::StatusOr<NodeFacts> LockFacts(pqxx::work& tx, const access::Subject& subject, const Uuid& node);

// Of one node, as `Columns` and ReadFacts read it.
std::string FactsQuery(postgres::Params& params, const access::Subject& viewer, const Uuid& id);

}  // namespace pepeunit::graph_registry
