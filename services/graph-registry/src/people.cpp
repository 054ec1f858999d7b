#include "people.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>

#include "fields.h"
#include "pepeunit/base/bytes.h"
#include "pepeunit/base/clock.h"
#include "pepeunit/base/personal_token.h"
#include "rights.h"

namespace pepeunit::graph_registry {
namespace {

using google::protobuf::util::TimeUtil;

constexpr char kUser[] = "user";
constexpr LifeBounds kResetLife{.least_s = 60, .most_s = 7 * 86'400, .usual_s = 86'400};

// What only administrators and he himself are shown.
void Conceal(const rpc::Caller& caller, graph::v1::User* user) {
  if (caller.administrator || user->id() == caller.user_id.ToString()) return;
  user->clear_blocked();
  user->clear_devices_stopped();
}

bool IsLoginPrefix(const std::string& text) {
  return text.size() <= 32 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
         });
}

}  // namespace

absl::Status People::Get(const rpc::Caller& caller, const std::string& id, graph::v1::User& out) {
  PEPEUNIT_ASSIGN_OR_RETURN(const NodeFacts facts, FindNode(store_, caller, "id", id, access::Role::kReader, kUser,
                                                            graph::v1::NODE_TYPE_USER));
  PEPEUNIT_ASSIGN_OR_RETURN(out, accounts_.GetUser(facts.id));
  Conceal(caller, &out);
  return absl::OkStatus();
}

absl::Status People::List(const rpc::Caller& caller, const graph::v1::ListUsersRequest& request,
                          graph::v1::ListUsersResponse& out) {
  Fields fields;
  UserFilter filter{.login = Fold(request.login())};
  if (!IsLoginPrefix(filter.login)) fields.Fail("login", "must have at most 32 of a-z, 0-9, '-', '_' and '.'");
  if (request.has_blocked()) filter.blocked = request.blocked();
  if (request.has_administrator()) filter.administrator = request.administrator();
  PEPEUNIT_RETURN_IF_ERROR(fields.Finish());
  if (filter.blocked || filter.administrator) PEPEUNIT_RETURN_IF_ERROR(RequireAdministrator(caller));
  const auto flag = [](const std::optional<bool>& value) { return value ? (*value ? " yes" : " no") : " any"; };
  const std::string list = "users " + filter.login + flag(filter.blocked) + flag(filter.administrator);
  PEPEUNIT_ASSIGN_OR_RETURN(const Page page, ReadPage(list, request.page_size(), request.cursor()));
  PEPEUNIT_ASSIGN_OR_RETURN(auto rows, accounts_.ListUsers(SubjectOf(caller), filter, page));
  out.set_next_cursor(CutPage(list, page, &rows));
  for (auto& row : rows) {
    Conceal(caller, &row);
    *out.add_users() = std::move(row);
  }
  return absl::OkStatus();
}

absl::StatusOr<Uuid> People::CheckGoverned(const rpc::Caller& caller, const std::string& id) {
  graph::v1::User user;
  PEPEUNIT_RETURN_IF_ERROR(Get(caller, id, user));
  PEPEUNIT_RETURN_IF_ERROR(RequireSession(caller));
  PEPEUNIT_RETURN_IF_ERROR(RequireAdministrator(caller));
  return *Uuid::Parse(user.id());
}

absl::Status People::SetAdministrator(const rpc::Caller& caller, const graph::v1::SetAdministratorRequest& request,
                                      graph::v1::User& out) {
  PEPEUNIT_ASSIGN_OR_RETURN(const Uuid user, CheckGoverned(caller, request.id()));
  PEPEUNIT_RETURN_IF_ERROR(accounts_.SetAdministrator(ActorOf(caller), user, request.administrator()));
  PEPEUNIT_ASSIGN_OR_RETURN(out, accounts_.GetUser(user));
  return absl::OkStatus();
}

absl::Status People::ResetPassword(const rpc::Caller& caller, const graph::v1::ResetPasswordRequest& request,
                                   graph::v1::PasswordReset& out) {
  PEPEUNIT_ASSIGN_OR_RETURN(const Uuid user, CheckGoverned(caller, request.id()));
  Fields fields;
  const std::int64_t life_ms = fields.LifeMs("lifetime", request.has_lifetime(), request.lifetime(), kResetLife);
  PEPEUNIT_RETURN_IF_ERROR(fields.Finish());
  const std::int64_t expires_at_ms = NowMs() + life_ms;
  const std::string secret = NewSecretText(kResetPrefix);
  PEPEUNIT_RETURN_IF_ERROR(accounts_.CreateReset(ActorOf(caller), user, Sha256(AsBytes(secret)), expires_at_ms));
  out.set_user_id(user.ToString());
  out.set_secret(secret);
  out.set_path("/reset-password#" + secret);
  *out.mutable_expires_at() = TimeUtil::MillisecondsToTimestamp(expires_at_ms);
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
