#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/base/uuid.h"
#include "pepeunit/graph/v1/users.pb.h"
#include "store.h"

// Where people are kept. Each call is one transaction. Thread-safe. Errors as those of GraphStore.
namespace pepeunit::graph_registry {

struct Account {
  graph::v1::User user;
  std::string password_hash;
};

// Which users are listed.
struct UserFilter {
  std::string login;  // how it begins
  std::optional<bool> blocked{}, administrator{};
};

struct SessionRow {
  Uuid id, user_id;
  std::int64_t expires_at_ms = 0;
  std::string client_address{};
};

inline absl::Status BadCredentials() {
  return Error(absl::StatusCode::kUnauthenticated, "BAD_CREDENTIALS", "The login or the password is wrong.");
}

struct FailureBound {
  int free = 0;  // failures that are answered without a wait
  int longest_wait_s = 900;
};

class AccountStore {
 public:
  virtual ~AccountStore() = default;

  // Uses up the invitation with this hash, unless that is empty; PERMISSION_DENIED (BAD_INVITATION) when it does not
  // live. ALREADY_EXISTS when the login is taken: then the invitation stays good.
  virtual absl::Status CreateAccount(const Actor& actor, const Account& account,
                                     const std::string& invitation_hash) = 0;
  virtual absl::StatusOr<bool> HasInvitation(const std::string& hash) = 0;  // one that lives
  virtual absl::StatusOr<Account> FindAccount(const std::string& login) = 0;
  virtual absl::StatusOr<graph::v1::User> GetUser(const Uuid& id) = 0;
  virtual absl::StatusOr<bool> HasAdministrator() = 0;
  // Those that the viewer may see, by id.
  virtual absl::StatusOr<std::vector<graph::v1::User>> ListUsers(const access::Subject& viewer,
                                                                 const UserFilter& filter, const Page& page) = 0;
  // The user who calls with this session or personal access token, while it lives. It is asked with every call.
  virtual absl::StatusOr<graph::v1::User> FindCaller(const Uuid& user, const Uuid& session) = 0;
  // The same for many at once: of those who are left, whether he is an administrator, by session.
  virtual absl::StatusOr<std::map<Uuid, bool>> FindCallers(const std::vector<std::pair<Uuid, Uuid>>& users) = 0;

  // Ends the oldest sessions of the user beyond the bound. UNAUTHENTICATED (BAD_CREDENTIALS) when his password is not
  // the one of this hash any more; empty: he signed in without it.
  virtual absl::Status CreateSession(const SessionRow& session, const std::string& refresh_hash,
                                     const std::string& password_hash) = 0;
  // The living session of a refresh token that was not used yet.
  virtual absl::StatusOr<SessionRow> FindSession(const std::string& refresh_hash) = 0;
  // Replaces the refresh token and returns the session. A hash that was replaced before ends the session and is
  // NOT_FOUND, as an unknown or expired one is.
  virtual absl::StatusOr<SessionRow> RotateSession(const std::string& refresh_hash, const std::string& new_hash,
                                                   std::int64_t new_expires_at_ms) = 0;
  virtual absl::Status DeleteSession(const Actor& actor, const Uuid& id) = 0;

  virtual absl::StatusOr<std::vector<graph::v1::SessionInfo>> ListSessions(const Uuid& user) = 0;
  // From where the login's living sessions were opened; empty when there is no such login.
  virtual absl::StatusOr<std::vector<std::string>> AddressesOf(const std::string& login) = 0;
  virtual absl::Status DeleteOtherSessions(const Actor& actor, const Uuid& kept) = 0;
  // Ends all sessions of the user but `kept`.
  virtual absl::Status SetPassword(const Actor& actor, const Uuid& user, const std::string& hash, const Uuid& kept) = 0;
  // Replaces a reset that waits. FAILED_PRECONDITION (BLOCKED) for a blocked user.
  virtual absl::Status CreateReset(const Actor& actor, const Uuid& user, const std::string& secret_hash,
                                   std::int64_t expires_at_ms) = 0;
  virtual absl::StatusOr<bool> HasReset(const std::string& secret_hash) = 0;  // one that lives
  // Uses it up: the user's password is another one, his sessions and tokens end, and wrong passwords for his login,
  // from wherever, are forgotten. NOT_FOUND when it does not live.
  virtual absl::Status RedeemReset(const std::string& secret_hash, const std::string& password_hash,
                                   const std::string& client_address) = 0;
  // FAILED_PRECONDITION for the last administrator who is not blocked.
  virtual absl::Status SetAdministrator(const Actor& actor, const Uuid& user, bool administrator) = 0;
  // Blocking ends the user's sessions, tokens and reset. FAILED_PRECONDITION for the last administrator who is not
  // blocked.
  virtual absl::Status SetBlocked(const Actor& actor, const Uuid& user, bool blocked, bool devices_stopped) = 0;

  // Counts one more failure for what Guesses calls a key, and returns 0; or, without counting, how many ms it has to
  // wait: after the free ones each doubles the wait, from 2 s to the longest. A day after the last one all are
  // forgotten.
  virtual absl::StatusOr<std::int64_t> CountFailure(const std::string& key, const FailureBound& bound) = 0;
  // Takes one back.
  virtual absl::Status ForgiveFailure(const std::string& key) = 0;
  virtual absl::Status ClearFailures(const std::string& key) = 0;
  // Deletes the oldest failures beyond `most`, at most some thousands; returns how many.
  virtual absl::StatusOr<std::int64_t> ForgetFailures(std::int64_t most) = 0;
};

}  // namespace pepeunit::graph_registry
