#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "pepeunit/base/uuid.h"

namespace pepeunit::rpc {

// For whom a call is made. The gateway establishes it from the access token; services believe it because only
// services know the instance key that every internal call must carry (metadata `pepeunit-instance-key`).
struct Caller {
  enum class Kind {
    kAnonymous,  // a person without registration (A0)
    kUser,       // a signed-in user (A1)
    kService,    // a service on its own behalf
  };
  // How far the token of a user reaches: that of a session to all he may do, a personal access token as its scopes say.
  enum class Reach { kAll, kRead, kWrite, kManage };
  Kind kind = Kind::kAnonymous;
  Uuid user_id{};                 // kUser only
  Uuid session_id{};              // kUser only: the session, or the personal access token
  bool administrator = false;     // kUser only
  Reach reach = Reach::kAll;      // kUser only
  std::string if_match{};         // the caller's If-Match without quotes; empty when absent
  std::string idempotency_key{};  // the caller's Idempotency-Key; empty when absent
  std::string client_address{};   // of the person or program outside; for limits and audit; may be empty

  static Caller Service() { return Caller{.kind = Kind::kService}; }
  bool signed_in() const { return kind == Kind::kUser; }
};

// `anonymous`, `service` or `user:<uuid>:<session uuid>[:admin][:read|:write|:manage]`, as metadata `pepeunit-caller`
// carries it.
std::string FormatCaller(const Caller& caller);
absl::StatusOr<Caller> ParseCaller(const std::string& text);

}  // namespace pepeunit::rpc
