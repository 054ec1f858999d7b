#include "guesses.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>

#include "pepeunit/base/errors.h"

namespace pepeunit::graph_registry {
namespace {

constexpr int kFreeOfLogin = 5;  // wrong passwords for one login before it has to wait
constexpr std::size_t kMostAddressCharacters = 64;

}  // namespace

std::string Guesses::KeyOf(const std::string& address) {
  if (address.empty()) return "";
  in6_addr six{};
  if (inet_pton(AF_INET6, address.c_str(), &six) != 1) return '@' + address.substr(0, kMostAddressCharacters);
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (IN6_IS_ADDR_V4MAPPED(&six)) {
    inet_ntop(AF_INET, &six.s6_addr[12], text.data(), text.size());
    return std::string("@") + text.data();
  }
  std::fill(std::begin(six.s6_addr) + 8, std::end(six.s6_addr), std::uint8_t{0});
  inet_ntop(AF_INET6, &six, text.data(), text.size());
  return std::string("@") + text.data() + "/64";
}

absl::StatusOr<Guesses::Attempt> Guesses::Begin(const std::string& login, const std::string& address) {
  Attempt attempt;
  if (const std::string key = KeyOf(address); !key.empty()) {
    PEPEUNIT_ASSIGN_OR_RETURN(const std::int64_t wait_ms, store_.CountFailure(key, free_of_address_));
    if (wait_ms > 0) return Limit("Too many wrong passwords or secrets came from your address; wait.", wait_ms);
    attempt.address = key;
  }
  if (login.empty()) return attempt;
  const auto wait_ms = store_.CountFailure(login, kFreeOfLogin);
  if (wait_ms.ok() && *wait_ms == 0) {
    attempt.login = login;
    return attempt;
  }
  PEPEUNIT_RETURN_IF_ERROR(TakeBack(attempt));
  return wait_ms.ok() ? Limit("Too many wrong passwords for this login; wait.", *wait_ms) : wait_ms.status();
}

absl::Status Guesses::SignUp(const std::string& address) {
  const std::string key = KeyOf(address);
  if (key.empty()) return absl::OkStatus();
  PEPEUNIT_ASSIGN_OR_RETURN(const std::int64_t wait_ms, store_.CountFailure('+' + key, free_of_address_));
  return wait_ms == 0 ? absl::OkStatus() : Limit("Many have signed up from your address; wait.", wait_ms);
}

absl::Status Guesses::Right(const Attempt& attempt) {
  if (!attempt.login.empty()) PEPEUNIT_RETURN_IF_ERROR(store_.ClearFailures(attempt.login));
  return attempt.address.empty() ? absl::OkStatus() : store_.ForgiveFailure(attempt.address);
}

absl::Status Guesses::TakeBack(const Attempt& attempt) {
  for (const std::string& key : {attempt.login, attempt.address}) {
    if (!key.empty()) PEPEUNIT_RETURN_IF_ERROR(store_.ForgiveFailure(key));
  }
  return absl::OkStatus();
}

}  // namespace pepeunit::graph_registry
