#include "guesses.h"

#include <algorithm>

#include "pepeunit/base/address.h"
#include "pepeunit/base/errors.h"

namespace pepeunit::graph_registry {
namespace {

constexpr FailureBound kLoginFromAddress{.free = 5};
// What is left to many addresses together, with and after the others' bound: one guess in half a minute.
constexpr FailureBound kLogin{.free = 100, .longest_wait_s = 30};

}  // namespace

std::string Guesses::KeyOf(const std::string& address) { return address.empty() ? "" : '@' + AddressGroup(address); }

absl::StatusOr<Guesses::Attempt> Guesses::Begin(const std::string& login, const std::string& address) {
  Attempt attempt;
  const std::string key = KeyOf(address);
  if (!key.empty()) {
    PEPEUNIT_ASSIGN_OR_RETURN(const std::int64_t wait_ms, store_.CountFailure(key, {.free = free_of_address_}));
    if (wait_ms > 0) return Limit("Too many wrong passwords or secrets came from your address; wait.", wait_ms);
    attempt.address = key;
  }
  if (login.empty()) return attempt;
  const absl::Status counted = CountForLogin(login, key, &attempt);
  if (counted.ok()) return attempt;
  PEPEUNIT_RETURN_IF_ERROR(TakeBack(attempt));
  return counted;
}

absl::Status Guesses::CountForLogin(const std::string& login, const std::string& address_key, Attempt* attempt) {
  const std::string from_address = login + ' ' + address_key;  // no login has a space
  PEPEUNIT_ASSIGN_OR_RETURN(const std::int64_t own_wait_ms, store_.CountFailure(from_address, kLoginFromAddress));
  if (own_wait_ms > 0) return Limit("Too many wrong passwords for this login; wait.", own_wait_ms);
  attempt->login_from_address = from_address;
  PEPEUNIT_ASSIGN_OR_RETURN(const std::int64_t wait_ms, store_.CountFailure(login, kLogin));
  if (wait_ms == 0) {
    attempt->login = login;
    return absl::OkStatus();
  }
  PEPEUNIT_ASSIGN_OR_RETURN(const auto known, store_.AddressesOf(login));
  const bool at_home = !address_key.empty() && std::any_of(known.begin(), known.end(), [&](const std::string& address) {
    return KeyOf(address) == address_key;
  });
  return at_home ? absl::OkStatus() : Limit("Too many wrong passwords for this login; wait.", wait_ms);
}

absl::Status Guesses::SignUp(const std::string& address) {
  const std::string key = KeyOf(address);
  if (key.empty()) return absl::OkStatus();
  PEPEUNIT_ASSIGN_OR_RETURN(const std::int64_t wait_ms, store_.CountFailure('+' + key, {.free = free_of_address_}));
  return wait_ms == 0 ? absl::OkStatus() : Limit("Many have signed up from your address; wait.", wait_ms);
}

absl::Status Guesses::Right(const Attempt& attempt) {
  for (const std::string& key : {attempt.login_from_address, attempt.login}) {
    if (!key.empty()) PEPEUNIT_RETURN_IF_ERROR(store_.ClearFailures(key));
  }
  return attempt.address.empty() ? absl::OkStatus() : store_.ForgiveFailure(attempt.address);
}

absl::Status Guesses::TakeBack(const Attempt& attempt) {
  for (const std::string& key : {attempt.address, attempt.login_from_address, attempt.login}) {
    if (!key.empty()) PEPEUNIT_RETURN_IF_ERROR(store_.ForgiveFailure(key));
  }
  return absl::OkStatus();
}

}  // namespace pepeunit::graph_registry
