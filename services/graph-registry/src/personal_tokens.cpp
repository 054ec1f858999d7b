#include "personal_tokens.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>

#include "fields.h"
#include "pepeunit/base/bytes.h"
#include "pepeunit/base/clock.h"
#include "pepeunit/base/personal_token.h"
#include "rights.h"

namespace pepeunit::graph_registry {
namespace {

using google::protobuf::util::TimeUtil;

constexpr std::int64_t kMostTokens = 50;                // of one user
constexpr std::int64_t kMostTokenLifeS = 366 * 86'400;  // a year, whichever it is

// What is asked for, with what it includes, in order.
void ReadScopes(const rpc::Caller& caller, const google::protobuf::RepeatedField<int>& asked, Fields* fields,
                graph::v1::PersonalToken* out) {
  int highest = 0;
  bool admin = false;
  for (const int scope : asked) {
    if (!graph::v1::TokenScope_IsValid(scope) || scope == graph::v1::TOKEN_SCOPE_UNSPECIFIED) {
      return fields->Fail("scopes", "must be READ, WRITE, MANAGE or ADMIN");
    }
    admin = admin || scope == graph::v1::TOKEN_SCOPE_ADMIN;
    if (scope != graph::v1::TOKEN_SCOPE_ADMIN) highest = std::max(highest, scope);
  }
  if (highest == 0) return fields->Fail("scopes", "must have one of READ, WRITE and MANAGE");
  if (admin && !caller.administrator) return fields->Fail("scopes", "may have ADMIN for administrators only");
  for (int scope = graph::v1::TOKEN_SCOPE_READ; scope <= highest; ++scope) {
    out->add_scopes(static_cast<graph::v1::TokenScope>(scope));
  }
  if (admin) out->add_scopes(graph::v1::TOKEN_SCOPE_ADMIN);
}

}  // namespace

absl::Status PersonalTokens::Create(const rpc::Caller& caller, const graph::v1::CreatePersonalTokenRequest& request,
                                    graph::v1::IssuedPersonalToken& out) {
  PEPEUNIT_RETURN_IF_ERROR(RequireSession(caller));
  const std::int64_t now_ms = NowMs();
  Fields fields;
  graph::v1::PersonalToken token;
  token.set_name(fields.Name("name", request.name()));
  ReadScopes(caller, request.scopes(), &fields, &token);
  if (!request.has_expires_at()) {
    fields.Fail("expires_at", "is missing");
  } else if (const std::int64_t s = request.expires_at().seconds(); s <= now_ms / 1000) {
    fields.Fail("expires_at", "must be in the future");
  } else if (s > now_ms / 1000 + kMostTokenLifeS) {
    fields.Fail("expires_at", "must be within a year");
  }
  PEPEUNIT_RETURN_IF_ERROR(fields.Finish());
  token.set_id(Uuid::New().ToString());
  *token.mutable_created_at() = TimeUtil::MillisecondsToTimestamp(now_ms);
  *token.mutable_expires_at() = TimeUtil::SecondsToTimestamp(request.expires_at().seconds());
  const std::string secret = NewPersonalToken();
  PEPEUNIT_RETURN_IF_ERROR(store_.CreateToken(ActorOf(caller), token, Sha256(AsBytes(secret)), kMostTokens));
  out.set_id(token.id());
  out.set_secret(secret);
  *out.mutable_token() = std::move(token);
  return absl::OkStatus();
}

absl::Status PersonalTokens::List(const rpc::Caller& caller, const graph::v1::ListPersonalTokensRequest& request,
                                  graph::v1::ListPersonalTokensResponse& out) {
  PEPEUNIT_RETURN_IF_ERROR(RequireSession(caller));
  const std::string list = "tokens " + caller.user_id.ToString();
  PEPEUNIT_ASSIGN_OR_RETURN(const Page page, ReadPage(list, request.page_size(), request.cursor()));
  PEPEUNIT_ASSIGN_OR_RETURN(auto rows, store_.ListTokens(caller.user_id, page));
  out.set_next_cursor(CutPage(list, page, &rows));
  for (auto& row : rows) *out.add_tokens() = std::move(row);
  return absl::OkStatus();
}

absl::Status PersonalTokens::Delete(const rpc::Caller& caller, const std::string& id) {
  PEPEUNIT_RETURN_IF_ERROR(RequireSession(caller));
  const auto uuid = Uuid::Parse(id);
  if (!uuid) return InvalidField("id", "is not a UUID");
  return store_.DeleteToken(ActorOf(caller), *uuid);
}

}  // namespace pepeunit::graph_registry
