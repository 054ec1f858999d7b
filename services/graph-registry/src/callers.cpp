#include "callers.h"

#include "pepeunit/base/errors.h"

namespace pepeunit::graph_registry {

absl::StatusOr<rpc::Caller> Callers::Admit(rpc::Caller caller) const {
  if (!caller.signed_in()) return caller;
  const auto user = store_.FindCaller(caller.user_id, caller.session_id);
  if (absl::IsNotFound(user.status())) return Unauthenticated("This session or token has ended; sign in again.");
  if (!user.ok()) return user.status();
  caller.administrator = caller.administrator && user->administrator();
  return caller;
}

}  // namespace pepeunit::graph_registry
