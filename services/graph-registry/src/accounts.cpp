#include "accounts.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>

#include "fields.h"
#include "invitation_store.h"
#include "pepeunit/base/bytes.h"
#include "pepeunit/base/clock.h"
#include "pepeunit/base/log.h"
#include "pepeunit/base/personal_token.h"
#include "rights.h"

namespace pepeunit::graph_registry {
namespace {

using google::protobuf::util::TimeUtil;

constexpr std::size_t kMostSecretBytes = 256;  // of what callers send as an invitation or reset

bool IsLogin(const std::string& login) {
  if (login.size() < 3 || login.size() > 32 || login[0] < 'a' || login[0] > 'z') return false;
  return std::all_of(login.begin(), login.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  });
}

// A login that begins like `name`, which may be anything.
std::string LoginFrom(const std::string& name, const std::string& tail) {
  constexpr std::size_t kMost = 32, kLeast = 3;
  std::string login;
  for (const char c : Fold(name.substr(0, name.find('@')))) {
    const bool letter = c >= 'a' && c <= 'z';
    const bool other = (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
    if ((letter || (other && !login.empty())) && login.size() + tail.size() < kMost) login += c;
  }
  if (login.size() < kLeast) login = "user";
  return login + tail;
}

std::string NewRefreshToken() { return Base64UrlEncode(AsBytes(RandomBytes(32))); }

std::string HashOf(const std::string& secret) { return Sha256(AsBytes(secret)); }

absl::Status Closed() {
  return Error(absl::StatusCode::kPermissionDenied, "REGISTRATION_CLOSED",
               "Registration is closed on this instance; ask its administrator.");
}

void CheckNewPassword(const std::string& field, const std::string& password, Fields* fields) {
  const std::size_t length = CountCharacters(password);
  if (length < 10 || length > 256) fields->Fail(field, "must have 10 to 256 characters");
}

absl::Status CheckNewUser(const graph::v1::CreateUserRequest& request) {
  Fields fields;
  if (!IsLogin(Fold(request.login())))
    fields.Fail("login", "must have 3 to 32 of a-z, 0-9, '-', '_' and '.', and begin with a letter");
  CheckNewPassword("password", request.password(), &fields);
  return fields.Finish();
}

}  // namespace

absl::Status Accounts::SignUp(const rpc::Caller& caller, const graph::v1::CreateUserRequest& request,
                              graph::v1::User& out) {
  PEPEUNIT_RETURN_IF_ERROR(CheckNewUser(request));  // a slip of the pen is no sign-up
  if (caller.administrator && RequireMaker(caller).ok()) return Create(ActorOf(caller), request, false, "", out);
  PEPEUNIT_ASSIGN_OR_RETURN(const std::string hash, CheckInvitation(request.invitation(), caller.client_address));
  // An invitation makes one user only.
  if (hash.empty()) PEPEUNIT_RETURN_IF_ERROR(guesses_.SignUp(caller.client_address));
  return Create({.user = {}, .client_address = caller.client_address}, request, false, hash, out);
}

absl::StatusOr<std::string> Accounts::CheckInvitation(const std::string& invitation,
                                                      const std::string& client_address) {
  if (settings_.registration == graph::v1::REGISTRATION_OPEN) return std::string();
  if (settings_.registration == graph::v1::REGISTRATION_CLOSED) return Closed();
  if (invitation.empty()) return BadInvitation();
  PEPEUNIT_ASSIGN_OR_RETURN(const auto attempt, guesses_.Begin("", client_address));
  if (!IsSecretText(kInvitationPrefix, invitation)) return BadInvitation();
  const std::string hash = HashOf(invitation);
  const auto lives = store_.HasInvitation(hash);
  if (lives.ok() && !*lives) return BadInvitation();
  PEPEUNIT_RETURN_IF_ERROR(guesses_.TakeBack(attempt));
  if (!lives.ok()) return lives.status();
  return hash;
}

absl::StatusOr<Account> Accounts::WithoutPassword(const std::string& name, const std::string& tail,
                                                  bool invited) const {
  if (settings_.registration == graph::v1::REGISTRATION_CLOSED) return Closed();
  if (settings_.registration == graph::v1::REGISTRATION_INVITATION && !invited) return BadInvitation();
  Account account;
  account.user.set_id(Uuid::New().ToString());
  account.user.set_login(LoginFrom(name, tail));
  *account.user.mutable_created_at() = TimeUtil::MillisecondsToTimestamp(NowMs());
  return account;
}

absl::Status Accounts::Create(const Actor& by, const graph::v1::CreateUserRequest& request, bool administrator,
                              const std::string& invitation_hash, graph::v1::User& out) {
  PEPEUNIT_RETURN_IF_ERROR(CheckNewUser(request));
  const std::string login = Fold(request.login());
  Account account;
  PEPEUNIT_ASSIGN_OR_RETURN(account.password_hash, secrets_.HashPassword(request.password()));
  const Uuid id = Uuid::New();
  account.user.set_id(id.ToString());
  account.user.set_login(login);
  account.user.set_administrator(administrator);
  *account.user.mutable_created_at() = TimeUtil::MillisecondsToTimestamp(NowMs());
  Actor actor = by;
  if (actor.user.IsNil() && !administrator) actor.user = id;
  if (const absl::Status status = store_.CreateAccount(actor, account, invitation_hash);
      absl::IsAlreadyExists(status)) {
    return WithViolations(Error(status.code(), "ALREADY_EXISTS", "This login is taken."), {{"login", "is taken"}});
  } else if (!status.ok()) {
    return status;
  }
  out = account.user;
  return absl::OkStatus();
}

absl::Status Accounts::Current(const rpc::Caller& caller, graph::v1::User& out) {
  PEPEUNIT_RETURN_IF_ERROR(RequireUser(caller));
  PEPEUNIT_ASSIGN_OR_RETURN(out, store_.GetUser(caller.user_id));
  return absl::OkStatus();
}

absl::Status Accounts::SignIn(const graph::v1::CreateSessionRequest& request, graph::v1::Session& out,
                              const std::string& client_address) {
  Fields fields;
  if (request.login().empty() || request.login().size() > 256) fields.Fail("login", "is missing or too long");
  if (request.password().empty() || request.password().size() > 1024) {
    fields.Fail("password", "is missing or too long");
  }
  PEPEUNIT_RETURN_IF_ERROR(fields.Finish());
  PEPEUNIT_ASSIGN_OR_RETURN(const Account account,
                            CheckPassword(Fold(request.login()), request.password(), client_address));
  return OpenSession(*Uuid::Parse(account.user.id()), account.password_hash, out, client_address);
}

absl::StatusOr<Account> Accounts::CheckPassword(const std::string& login, const std::string& password,
                                                const std::string& client_address) {
  // What can be nobody's login is not looked up and not worth a row among the failures, but costs as much time.
  const bool possible = IsLogin(login);
  PEPEUNIT_ASSIGN_OR_RETURN(const auto attempt, guesses_.Begin(possible ? login : "", client_address));
  absl::StatusOr<Account> account = NotFound("user");
  if (possible) {
    account = store_.FindAccount(login);
    if (!account.ok() && !absl::IsNotFound(account.status())) return account.status();
  }
  const auto matches = secrets_.VerifyPassword(password, account.ok() ? account->password_hash : "");
  if (!matches.ok()) {
    PEPEUNIT_RETURN_IF_ERROR(guesses_.TakeBack(attempt));
    return matches.status();
  }
  if (!account.ok() || !*matches) return BadCredentials();
  PEPEUNIT_RETURN_IF_ERROR(guesses_.Right(attempt));
  return account;
}

absl::Status Accounts::Confirm(const rpc::Caller& caller, const std::string& password) {
  PEPEUNIT_ASSIGN_OR_RETURN(const graph::v1::User user, store_.GetUser(caller.user_id));
  return CheckPassword(user.login(), password, caller.client_address).status();
}

absl::Status Accounts::ChangePassword(const rpc::Caller& caller, const graph::v1::ChangePasswordRequest& request) {
  PEPEUNIT_RETURN_IF_ERROR(RequireSession(caller));
  Fields fields;
  if (request.current_password().empty() || request.current_password().size() > 1024)
    fields.Fail("current_password", "is missing or too long");
  CheckNewPassword("new_password", request.new_password(), &fields);
  PEPEUNIT_RETURN_IF_ERROR(fields.Finish());
  PEPEUNIT_RETURN_IF_ERROR(Confirm(caller, request.current_password()));
  PEPEUNIT_ASSIGN_OR_RETURN(const std::string hash, secrets_.HashPassword(request.new_password()));
  return store_.SetPassword(ActorOf(caller), caller.user_id, hash, caller.session_id);
}

absl::Status Accounts::RedeemReset(const graph::v1::RedeemResetRequest& request, const std::string& client_address) {
  Fields fields;
  if (request.secret().empty() || request.secret().size() > kMostSecretBytes)
    fields.Fail("secret", "is missing or too long");
  CheckNewPassword("new_password", request.new_password(), &fields);
  PEPEUNIT_RETURN_IF_ERROR(fields.Finish());
  const absl::Status bad = Error(absl::StatusCode::kPermissionDenied, "BAD_RESET",
                                 "This secret is unknown, used, replaced or expired; ask an administrator for one.");
  PEPEUNIT_ASSIGN_OR_RETURN(const auto attempt, guesses_.Begin("", client_address));
  if (!IsSecretText(kResetPrefix, request.secret())) return bad;
  const std::string secret_hash = HashOf(request.secret());
  const auto lives = store_.HasReset(secret_hash);
  if (lives.ok() && !*lives) return bad;
  PEPEUNIT_RETURN_IF_ERROR(guesses_.TakeBack(attempt));
  if (!lives.ok()) return lives.status();
  PEPEUNIT_ASSIGN_OR_RETURN(const std::string hash, secrets_.HashPassword(request.new_password()));
  const absl::Status redeemed = store_.RedeemReset(secret_hash, hash, client_address);
  return absl::IsNotFound(redeemed) ? bad : redeemed;
}

absl::Status Accounts::ListSessions(const rpc::Caller& caller, graph::v1::ListSessionsResponse& out) {
  PEPEUNIT_RETURN_IF_ERROR(RequireSession(caller));
  PEPEUNIT_ASSIGN_OR_RETURN(auto sessions, store_.ListSessions(caller.user_id));
  for (auto& session : sessions) {
    session.set_current(session.id() == caller.session_id.ToString());
    *out.add_sessions() = std::move(session);
  }
  return absl::OkStatus();
}

absl::Status Accounts::EndOtherSessions(const rpc::Caller& caller) {
  PEPEUNIT_RETURN_IF_ERROR(RequireSession(caller));
  return store_.DeleteOtherSessions(ActorOf(caller), caller.session_id);
}

absl::Status Accounts::OpenSession(const Uuid& user, const std::string& password_hash, graph::v1::Session& out,
                                   const std::string& client_address) {
  const std::string refresh = NewRefreshToken();
  const SessionRow session{Uuid::New(), user, NowMs() + settings_.refresh_lifetime_ms, client_address};
  PEPEUNIT_RETURN_IF_ERROR(FillSession(session, refresh, out));
  const absl::Status status = store_.CreateSession(session, HashOf(refresh), password_hash);
  if (!status.ok()) out.Clear();
  return status;
}

absl::Status Accounts::Refresh(const graph::v1::RefreshSessionRequest& request, graph::v1::Session& out) {
  if (request.refresh_token().empty() || request.refresh_token().size() > 256) {
    return InvalidField("refresh_token", "is missing or too long");
  }
  const std::string old_hash = HashOf(request.refresh_token()), refresh = NewRefreshToken();
  const std::int64_t expires_at_ms = NowMs() + settings_.refresh_lifetime_ms;
  // All that can fail comes before the old token stops working.
  auto session = store_.FindSession(old_hash);
  if (session.ok()) {
    session->expires_at_ms = expires_at_ms;
    PEPEUNIT_RETURN_IF_ERROR(FillSession(*session, refresh, out));
  } else if (!absl::IsNotFound(session.status())) {
    return session.status();
  }
  const absl::Status rotated = store_.RotateSession(old_hash, HashOf(refresh), expires_at_ms).status();
  if (absl::IsNotFound(rotated)) {
    return Unauthenticated("The refresh token is used, expired or unknown; sign in again.");
  }
  return rotated;
}

absl::Status Accounts::FillSession(const SessionRow& session, const std::string& refresh, graph::v1::Session& out) {
  PEPEUNIT_ASSIGN_OR_RETURN(*out.mutable_user(), store_.GetUser(session.user_id));
  PEPEUNIT_ASSIGN_OR_RETURN(
      const IssuedAccess access,
      secrets_.IssueAccessToken(session.user_id, session.id, out.user().administrator(), settings_.access_lifetime_s));
  out.set_id(session.id.ToString());
  out.set_access_token(access.token);
  *out.mutable_access_expires_at() = TimeUtil::SecondsToTimestamp(access.expires_at_s);
  out.set_refresh_token(refresh);
  *out.mutable_refresh_expires_at() = TimeUtil::MillisecondsToTimestamp(session.expires_at_ms);
  return absl::OkStatus();
}

absl::Status Accounts::SignOut(const rpc::Caller& caller, const graph::v1::DeleteSessionRequest& request) {
  PEPEUNIT_RETURN_IF_ERROR(RequireSession(caller));
  const auto id = Uuid::Parse(request.id());
  if (!id) return InvalidField("id", "is not a UUID");
  return store_.DeleteSession(ActorOf(caller), *id);
}

absl::Status Accounts::EnsureAdministrator(const std::string& login, const std::string& password) {
  if (password.empty()) return absl::OkStatus();
  PEPEUNIT_ASSIGN_OR_RETURN(const bool there, store_.HasAdministrator());
  if (there) return absl::OkStatus();
  graph::v1::User user;
  graph::v1::CreateUserRequest request;
  request.set_login(login);
  request.set_password(password);
  const absl::Status status = Create({}, request, true, "", user);
  if (status.ok()) log::Info("the first administrator was created", {{"login", login}});
  if (absl::IsResourceExhausted(status)) return Unavailable("Too many passwords wait to be hashed.");
  if (!absl::IsAlreadyExists(status)) return status;
  // Another replica was quicker, or the login is an ordinary user's.
  PEPEUNIT_ASSIGN_OR_RETURN(const bool made, store_.HasAdministrator());
  if (made) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "PEPEUNIT_ADMIN_LOGIN names a user who is no administrator; choose another login");
}

}  // namespace pepeunit::graph_registry
