#include "departures.h"

#include "fields.h"
#include "rights.h"

namespace pepeunit::graph_registry {

template <typename Request>
absl::StatusOr<Removal> Departures::Read(const rpc::Caller& caller, const Uuid& user, const Request& request) {
  Fields fields;
  Removal removal{.user = user, .nodes = request.nodes(), .preview = request.preview()};
  const bool transfer = removal.nodes == graph::v1::NODES_CHOICE_TRANSFER;
  if (!transfer && removal.nodes != graph::v1::NODES_CHOICE_DELETE) fields.Fail("nodes", "must be DELETE or TRANSFER");
  if (transfer) {
    removal.transfer_to = fields.Id("transfer_to", request.transfer_to());
    if (removal.transfer_to == user) fields.Fail("transfer_to", "is the user who goes");
  } else if (!request.transfer_to().empty()) {
    fields.Fail("transfer_to", "goes with TRANSFER only");
  }
  PEPEUNIT_RETURN_IF_ERROR(fields.Finish());
  if (transfer) {
    graph::v1::User heir;
    const absl::Status seen = users_.Get(caller, removal.transfer_to.ToString(), heir);
    if (absl::IsNotFound(seen)) return NoSuchHeir();
    PEPEUNIT_RETURN_IF_ERROR(seen);
  }
  return removal;
}

absl::Status Departures::DeleteCurrent(const rpc::Caller& caller, const graph::v1::DeleteCurrentUserRequest& request,
                                       graph::v1::UserDeletion& out) {
  PEPEUNIT_RETURN_IF_ERROR(RequireSession(caller));
  if (request.current_password().size() > 1024) return InvalidField("current_password", "is too long");
  PEPEUNIT_ASSIGN_OR_RETURN(const Removal removal, Read(caller, caller.user_id, request));
  if (!removal.preview) {
    PEPEUNIT_ASSIGN_OR_RETURN(const graph::v1::User user, people_.GetUser(caller.user_id));
    PEPEUNIT_ASSIGN_OR_RETURN(const Account account, people_.FindAccount(user.login()));
    if (!account.password_hash.empty()) {
      if (request.current_password().empty()) return InvalidField("current_password", "is missing");
      PEPEUNIT_RETURN_IF_ERROR(accounts_.Confirm(caller, request.current_password()));
    }
  }
  PEPEUNIT_ASSIGN_OR_RETURN(out, removals_.RemoveUser(ActorOf(caller), removal));
  return absl::OkStatus();
}

absl::Status Departures::Delete(const rpc::Caller& caller, const graph::v1::DeleteUserRequest& request,
                                graph::v1::UserDeletion& out) {
  PEPEUNIT_ASSIGN_OR_RETURN(const Uuid user, users_.CheckGoverned(caller, request.id()));
  if (user == caller.user_id) return InvalidField("id", "is your own: POST /api/v1/users/me:delete");
  PEPEUNIT_ASSIGN_OR_RETURN(const Removal removal, Read(caller, user, request));
  PEPEUNIT_ASSIGN_OR_RETURN(out, removals_.RemoveUser(ActorOf(caller), removal));
  return absl::OkStatus();
}

}  // namespace pepeunit::graph_registry
