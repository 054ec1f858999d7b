#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "pepeunit/base/uuid.h"
#include "pepeunit/graph/v1/users.pb.h"
#include "store.h"

// Where people are kept. Each call is one transaction. Thread-safe. Errors as those of GraphStore.
namespace pepeunit::graph_registry {

struct Account {
  graph::v1::User user;
  std::string password_hash;
};

struct SessionRow {
  Uuid id, user_id;
  std::int64_t expires_at_ms = 0;
  std::string client_address{};
};

// Wrong passwords for one login since the last right one.
struct Failures {
  int count = 0;
  std::int64_t age_ms = 0;  // since the last of them
};

class AccountStore {
 public:
  virtual ~AccountStore() = default;

  virtual absl::Status CreateAccount(const Account& account) = 0;
  virtual absl::StatusOr<Account> FindAccount(const std::string& login) = 0;
  virtual absl::StatusOr<graph::v1::User> GetUser(const Uuid& id) = 0;
  virtual absl::StatusOr<bool> HasAdministrator() = 0;
  // The user who calls with this session or personal access token, while it lives. It is asked with every call.
  virtual absl::StatusOr<graph::v1::User> FindCaller(const Uuid& user, const Uuid& session) = 0;

  // Ends the oldest sessions of the user beyond the bound.
  virtual absl::Status CreateSession(const SessionRow& session, const std::string& refresh_hash) = 0;
  // The living session of a refresh token that was not used yet.
  virtual absl::StatusOr<SessionRow> FindSession(const std::string& refresh_hash) = 0;
  // Replaces the refresh token and returns the session. A hash that was replaced before ends the session and is
  // NOT_FOUND, as an unknown or expired one is.
  virtual absl::StatusOr<SessionRow> RotateSession(const std::string& refresh_hash, const std::string& new_hash,
                                                   std::int64_t new_expires_at_ms) = 0;
  virtual absl::Status DeleteSession(const Uuid& id, const Uuid& user) = 0;

  virtual absl::StatusOr<std::vector<graph::v1::SessionInfo>> ListSessions(const Uuid& user) = 0;
  virtual absl::Status DeleteOtherSessions(const Actor& actor, const Uuid& kept) = 0;
  // Ends all sessions of the user but `kept`.
  virtual absl::Status SetPassword(const Actor& actor, const Uuid& user, const std::string& hash, const Uuid& kept) = 0;
  // Blocking ends the user's sessions and tokens. FAILED_PRECONDITION for the last administrator who is not blocked.
  virtual absl::Status SetBlocked(const Actor& actor, const Uuid& user, bool blocked, bool devices_stopped) = 0;

  virtual absl::StatusOr<Failures> GetFailures(const std::string& login) = 0;
  // Counts one more, unless the count is not `expected` any more: then false, and nothing changes. So guesses that come
  // at once are counted one by one.
  virtual absl::StatusOr<bool> AddFailure(const std::string& login, int expected) = 0;
  // Takes one back: the password could not be checked at all.
  virtual absl::Status ForgiveFailure(const std::string& login) = 0;
  virtual absl::Status ClearFailures(const std::string& login) = 0;
};

}  // namespace pepeunit::graph_registry
