#include "callers.h"

#include "pepeunit/base/errors.h"
#include "rights.h"

namespace pepeunit::graph_registry {

namespace {

// A session has what its user is at this moment, whatever he was when its access token was issued; a personal access
// token only what its scopes say.
bool Governs(const rpc::Caller& caller, bool administrator) {
  return administrator && (caller.administrator || caller.reach == rpc::Caller::Reach::kAll);
}

}  // namespace

absl::StatusOr<rpc::Caller> Callers::Admit(rpc::Caller caller) const {
  if (!caller.signed_in()) return caller;
  const auto user = store_.FindCaller(caller.user_id, caller.session_id);
  if (absl::IsNotFound(user.status())) return SessionEnded();
  if (!user.ok()) return user.status();
  caller.administrator = Governs(caller, user->administrator());
  return caller;
}

absl::StatusOr<std::vector<std::optional<rpc::Caller>>> Callers::AdmitAgain(
    const std::vector<rpc::Caller>& callers) const {
  std::vector<std::pair<Uuid, Uuid>> users;
  for (const rpc::Caller& caller : callers) {
    if (caller.signed_in()) users.emplace_back(caller.user_id, caller.session_id);
  }
  PEPEUNIT_ASSIGN_OR_RETURN(const auto found, store_.FindCallers(users));
  std::vector<std::optional<rpc::Caller>> admitted;
  for (const rpc::Caller& caller : callers) {
    const auto user = caller.signed_in() ? found.find(caller.session_id) : found.end();
    if (caller.signed_in() && user == found.end()) {
      admitted.emplace_back();
      continue;
    }
    admitted.emplace_back(caller);
    if (caller.signed_in()) admitted.back()->administrator = Governs(caller, user->second);
  }
  return admitted;
}

}  // namespace pepeunit::graph_registry
