#include "people.h"

#include "fields.h"
#include "rights.h"

namespace pepeunit::graph_registry {
namespace {

constexpr char kUser[] = "user";

}  // namespace

absl::Status People::Get(const rpc::Caller& caller, const std::string& id, graph::v1::User& out) {
  const auto uuid = Uuid::Parse(id);
  if (!uuid) return InvalidField("id", "is not a UUID");
  const auto facts = store_.GetFacts(*uuid, SubjectOf(caller));
  if (absl::IsNotFound(facts.status()) || (facts.ok() && facts->type != graph::v1::NODE_TYPE_USER))
    return NotFound(kUser);
  if (!facts.ok()) return facts.status();
  PEPEUNIT_RETURN_IF_ERROR(Check(caller, *facts, access::Role::kReader, kUser));
  PEPEUNIT_ASSIGN_OR_RETURN(out, accounts_.GetUser(*uuid));
  if (!caller.administrator && *uuid != caller.user_id) {
    out.clear_blocked();
    out.clear_devices_stopped();
  }
  return absl::OkStatus();
}

absl::Status People::Block(const rpc::Caller& caller, const graph::v1::BlockUserRequest& request,
                           graph::v1::User& out) {
  return SetBlocked(caller, request.id(), true, request.stop_devices(), out);
}

absl::Status People::Unblock(const rpc::Caller& caller, const std::string& id, graph::v1::User& out) {
  return SetBlocked(caller, id, false, false, out);
}

absl::Status People::SetBlocked(const rpc::Caller& caller, const std::string& id, bool blocked, bool stop_devices,
                                graph::v1::User& out) {
  PEPEUNIT_RETURN_IF_ERROR(Get(caller, id, out));
  PEPEUNIT_RETURN_IF_ERROR(RequireMaker(caller));
  if (!caller.administrator) return Forbidden("Only administrators may block and unblock users.");
  const Uuid user = *Uuid::Parse(id);
  if (blocked && user == caller.user_id) return InvalidField("id", "is your own; another administrator may block you");
  PEPEUNIT_RETURN_IF_ERROR(accounts_.SetBlocked(ActorOf(caller), user, blocked, stop_devices));
  PEPEUNIT_ASSIGN_OR_RETURN(out, accounts_.GetUser(user));
  return absl::OkStatus();
}

}  // namespace pepeunit::graph_registry
