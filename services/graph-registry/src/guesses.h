#pragma once

#include <string>

#include "account_store.h"

namespace pepeunit::graph_registry {

// Bounds the guessing of secrets: for one login from one address, for one login from everywhere, and from one address
// over many logins, invitations and resets. Who guesses at somebody's password makes himself wait, not him: only many
// addresses together can make a login wait, for seconds, and not at an address where its user is signed in already. An
// attempt is counted as a failure before anything is looked at, so that many at once cannot pass the bound, and taken
// back when it was none. Thread-safe; shared by replicas through the storage.
class Guesses {
 public:
  // An attempt that was counted.
  struct Attempt {
    std::string address, login_from_address, login;  // keys in the storage; empty: not counted
  };

  // `free_of_address` wrong ones, and as many sign-ups, from one address are answered without a wait.
  Guesses(AccountStore& store, int free_of_address) : store_(store), free_of_address_(free_of_address) {}

  // Either may be empty: an address that is not known is not counted. LIMIT with a time to wait.
  absl::StatusOr<Attempt> Begin(const std::string& login, const std::string& address);
  // The secret was right: what was wrong before for its login is forgotten, but not what was wrong from other
  // addresses, nor what came from this one for other logins.
  absl::Status Right(const Attempt& attempt);
  // The secret could not be looked at.
  absl::Status TakeBack(const Attempt& attempt);

  // A sign-up, which counts whatever comes of it, apart from what was wrong: who makes many users waits between them.
  absl::Status SignUp(const std::string& address);

  // `@` and the AddressGroup of an address; empty for an empty one.
  static std::string KeyOf(const std::string& address);

 private:
  absl::Status CountForLogin(const std::string& login, const std::string& address_key, Attempt* attempt);

  AccountStore& store_;
  const int free_of_address_;
};

}  // namespace pepeunit::graph_registry
