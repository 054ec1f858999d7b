#include "pepeunit/rpc/caller.h"

#include <vector>

#include "absl/strings/str_split.h"
#include "pepeunit/base/absl_compat.h"
#include "pepeunit/base/errors.h"

namespace pepeunit::rpc {

std::string FormatCaller(const Caller& caller) {
  switch (caller.kind) {
    case Caller::Kind::kAnonymous:
      return "anonymous";
    case Caller::Kind::kService:
      return "service";
    case Caller::Kind::kUser:
      return "user:" + caller.user_id.ToString() + ':' + caller.session_id.ToString() +
             (caller.administrator ? ":admin" : "");
  }
  return "anonymous";
}

absl::StatusOr<Caller> ParseCaller(const std::string& text) {
  Caller caller;
  if (text.empty() || text == "anonymous") return caller;
  if (text == "service") return Caller::Service();
  const std::vector<std::string> parts = absl::StrSplit(ToAbsl(text), ':');
  if (parts.size() < 3 || parts.size() > 4 || parts[0] != "user") return Unauthenticated("The caller is malformed.");
  const auto user = Uuid::Parse(parts[1]), session = Uuid::Parse(parts[2]);
  if (!user || !session || (parts.size() == 4 && parts[3] != "admin")) {
    return Unauthenticated("The caller is malformed.");
  }
  caller.kind = Caller::Kind::kUser;
  caller.user_id = *user;
  caller.session_id = *session;
  caller.administrator = parts.size() == 4;
  return caller;
}

}  // namespace pepeunit::rpc
