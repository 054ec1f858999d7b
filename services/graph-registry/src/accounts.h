#pragma once

#include <string>

#include "account_store.h"
#include "guesses.h"
#include "pepeunit/graph/v1/invitations.pb.h"
#include "pepeunit/rpc/caller.h"
#include "ports.h"

namespace pepeunit::graph_registry {

struct AccountSettings {
  graph::v1::Registration registration = graph::v1::REGISTRATION_OPEN;
  int free_failures_of_address = 50;
  std::int32_t access_lifetime_s = 900;
  std::int64_t refresh_lifetime_ms = 30LL * 86'400'000;
};

// People: signing up, in and out (A1). Thread-safe.
class Accounts {
 public:
  Accounts(AccountStore& store, SecretBox& secrets, AccountSettings settings)
      : store_(store), secrets_(secrets), settings_(settings), guesses_(store, settings.free_failures_of_address) {}

  graph::v1::Registration registration() const { return settings_.registration; }
  // Also an administrator's making of a user.
  absl::Status SignUp(const rpc::Caller& caller, const graph::v1::CreateUserRequest& request, graph::v1::User& out);
  // The hash of the invitation that a sign-up needs, once it was found to live; empty while registration is open.
  // PERMISSION_DENIED: REGISTRATION_CLOSED or BAD_INVITATION. Wrong ones from one address have to wait.
  absl::StatusOr<std::string> CheckInvitation(const std::string& invitation, const std::string& client_address);
  absl::Status Current(const rpc::Caller& caller, graph::v1::User& out);
  absl::Status SignIn(const graph::v1::CreateSessionRequest& request, graph::v1::Session& out,
                      const std::string& client_address = "");
  absl::Status RedeemReset(const graph::v1::RedeemResetRequest& request, const std::string& client_address);
  absl::Status ChangePassword(const rpc::Caller& caller, const graph::v1::ChangePasswordRequest& request);
  absl::Status ListSessions(const rpc::Caller& caller, graph::v1::ListSessionsResponse& out);
  absl::Status EndOtherSessions(const rpc::Caller& caller);
  absl::Status Refresh(const graph::v1::RefreshSessionRequest& request, graph::v1::Session& out);
  // A new session of a user who has proved who he is.
  absl::Status OpenSession(const Uuid& user, const std::string& password_hash, graph::v1::Session& out,
                           const std::string& client_address = "");
  // A new user without a password, for somebody who signs in elsewhere: not stored yet. His login is made from his name
  // there, whatever it is, and `tail`. PERMISSION_DENIED unless registration is open, or he is `invited`.
  absl::StatusOr<Account> WithoutPassword(const std::string& name, const std::string& tail, bool invited) const;
  // That it is the user's password, who has one. BAD_CREDENTIALS, or LIMIT after too many wrong ones.
  absl::Status Confirm(const rpc::Caller& caller, const std::string& password);
  absl::Status SignOut(const rpc::Caller& caller, const graph::v1::DeleteSessionRequest& request);

  // Makes the first administrator when there is none and a password was configured. Called at start.
  absl::Status EnsureAdministrator(const std::string& login, const std::string& password);

 private:
  // `by` nobody: the user himself, or the instance its first administrator.
  absl::Status Create(const Actor& by, const graph::v1::CreateUserRequest& request, bool administrator,
                      const std::string& invitation_hash, graph::v1::User& out);
  // The account of a login and its password; BAD_CREDENTIALS, or LIMIT after too many wrong ones.
  absl::StatusOr<Account> CheckPassword(const std::string& login, const std::string& password,
                                        const std::string& client_address);
  absl::Status FillSession(const SessionRow& session, const std::string& refresh, graph::v1::Session& out);

  AccountStore& store_;
  SecretBox& secrets_;
  AccountSettings settings_;
  Guesses guesses_;
};

}  // namespace pepeunit::graph_registry
