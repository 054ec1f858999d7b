#include "pepeunit/rpc/caller.h"

#include <vector>

#include "absl/strings/str_split.h"
#include "pepeunit/base/absl_compat.h"
#include "pepeunit/base/errors.h"

namespace pepeunit::rpc {
namespace {

constexpr const char* kReaches[] = {"", ":read", ":write", ":manage"};  // by Reach

}  // namespace

std::string FormatCaller(const Caller& caller) {
  switch (caller.kind) {
    case Caller::Kind::kAnonymous:
      return "anonymous";
    case Caller::Kind::kService:
      return "service";
    case Caller::Kind::kUser:
      return "user:" + caller.user_id.ToString() + ':' + caller.session_id.ToString() +
             (caller.administrator ? ":admin" : "") + kReaches[static_cast<int>(caller.reach)];
  }
  return "anonymous";
}

absl::StatusOr<Caller> ParseCaller(const std::string& text) {
  Caller caller;
  if (text.empty() || text == "anonymous") return caller;
  if (text == "service") return Caller::Service();
  const std::vector<std::string> parts = absl::StrSplit(ToAbsl(text), ':');
  const absl::Status malformed = Unauthenticated("The caller is malformed.");
  if (parts.size() < 3 || parts[0] != "user") return malformed;
  const auto user = Uuid::Parse(parts[1]), session = Uuid::Parse(parts[2]);
  if (!user || !session) return malformed;
  caller.kind = Caller::Kind::kUser;
  caller.user_id = *user;
  caller.session_id = *session;
  // Whatever else was in the text is missing from what it means.
  caller.administrator = parts.size() > 3 && parts[3] == "admin";
  for (int reach = 1; reach < 4; ++reach) {
    if (':' + parts.back() == kReaches[reach]) caller.reach = static_cast<Caller::Reach>(reach);
  }
  return FormatCaller(caller) == text ? absl::StatusOr<Caller>(caller) : malformed;
}

}  // namespace pepeunit::rpc
