#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "pepeunit/rpc/caller.h"
#include "store.h"

// The one place where graph-registry asks libs/access.
namespace pepeunit::graph_registry {

// Who may call a service of the API at all: people do, signed in or not; other services ask GraphInternalService.
absl::Status AdmitPeople(const rpc::Caller& caller);
absl::Status AdmitAll(const rpc::Caller& caller);

access::Subject SubjectOf(const rpc::Caller& caller);

// OK; NOT_FOUND ("There is no such <what>.") when the subject may not know of the node; PERMISSION_DENIED otherwise.
absl::Status Check(const access::Subject& subject, const NodeFacts& facts, access::Role needed,
                   const std::string& what);
// The same for the caller. One without registration who may see the node is UNAUTHENTICATED: signing in may help.
absl::Status Check(const rpc::Caller& caller, const NodeFacts& facts, access::Role needed, const std::string& what);

// What `field` of a request names by its id, if the caller has this role there: INVALID_ARGUMENT naming the field when
// it is no id; NOT_FOUND also when it is of another type; else as Check. The decision comes before anything else is
// read, for what is hidden must cost as little time as what is not there.
absl::StatusOr<NodeFacts> FindNode(GraphStore& store, const rpc::Caller& caller, const std::string& field,
                                   const std::string& id, access::Role needed, const std::string& what,
                                   std::optional<graph::v1::NodeType> type = {});

// `needs` are what was checked beforehand, for the storage to ask again.
Actor ActorOf(const rpc::Caller& caller, std::vector<Need> needs = {});
// With the caller's idempotency key, for a request that makes something. What is secret in it must be cleared.
Actor MakerOf(const rpc::Caller& caller, const google::protobuf::Message& request, std::vector<Need> needs = {});

// To whoever comes with a session or token that does not live.
absl::Status SessionEnded();

// UNAUTHENTICATED unless a user is signed in.
absl::Status RequireUser(const rpc::Caller& caller);
// A user who came with a session: PERMISSION_DENIED to a personal access token, which never touches its user's account,
// sessions or tokens, whatever its scopes.
absl::Status RequireSession(const rpc::Caller& caller);
// UNAUTHENTICATED or PERMISSION_DENIED unless the caller has an administrator's power.
absl::Status RequireAdministrator(const rpc::Caller& caller);
// A user who may make nodes: PERMISSION_DENIED to a token whose scopes end before that.
absl::Status RequireMaker(const rpc::Caller& caller);
// PERMISSION_DENIED unless another service calls on its own behalf.
absl::Status RequireService(const rpc::Caller& caller);

// The version in `etag`, which was just read: what is written must still find it. FAILED_PRECONDITION
// (VERSION_MISMATCH) if the caller's If-Match names another one. An etag is a version, or a version and a '-' with
// more.
absl::StatusOr<std::int64_t> ExpectedVersion(const rpc::Caller& caller, const std::string& etag);
absl::Status VersionMismatch();

// Runs `update`, which reads a node, changes it, and writes it if nobody else did meanwhile. Somebody who sent no
// If-Match does not mind what others changed: his change is made again on what they left.
absl::Status ReadAndUpdate(const rpc::Caller& caller, const std::function<absl::Status()>& update);

// Bytes of the values that an input with links may allow, which stand in the profile of each unit that has one.
inline constexpr std::size_t kMostLinkedChoices = 2'048;

// Whether a link may carry. When not, `reason` says why it is suspended, and `status` why it cannot be drawn.
struct LinkVerdict {
  graph::v1::SuspendedReason reason = graph::v1::SUSPENDED_REASON_UNSPECIFIED;
  absl::Status status;
  bool ok() const { return status.ok(); }
};
// Whether a link's creator may join its ends, and the ends agree (G2). What he may not himself, a unit whose variable
// he maintains may let him: one that was given a role at the other end.
LinkVerdict CheckLink(const access::Subject& creator, const LinkRow& row);
// The same for who drew it, by what he may now. The one decision on what a unit's profile carries, which links lose
// their right by a change, and what people are told.
LinkVerdict CheckLink(const LinkRow& row);
// The links that stop or begin to carry when their ends are changed like this. Who maintains one end is told of all of
// them; of the other end nothing is said.
struct LinkDifference {
  std::vector<std::string> suspended, resumed;
};
LinkDifference CompareLinks(std::vector<LinkRow> links, const std::function<void(VariableRow*)>& change);
// The link with its state.
graph::v1::Link Describe(const LinkRow& row);

}  // namespace pepeunit::graph_registry
