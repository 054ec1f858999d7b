#include "invitations.h"

#include <google/protobuf/util/time_util.h>

#include "fields.h"
#include "pepeunit/base/bytes.h"
#include "pepeunit/base/clock.h"
#include "pepeunit/base/personal_token.h"
#include "rights.h"

namespace pepeunit::graph_registry {
namespace {

using google::protobuf::util::TimeUtil;

constexpr std::int64_t kMostWaiting = 1000;
constexpr LifeBounds kLife{.least_s = 60, .most_s = 90 * 86'400, .usual_s = 7 * 86'400};

}  // namespace

absl::Status Invitations::Create(const rpc::Caller& caller, const graph::v1::CreateInvitationRequest& request,
                                 graph::v1::IssuedInvitation& out) {
  PEPEUNIT_RETURN_IF_ERROR(RequireAdministrator(caller));
  PEPEUNIT_RETURN_IF_ERROR(RequireMaker(caller));
  Fields fields;
  graph::v1::Invitation invitation;
  if (!request.note().empty()) invitation.set_note(fields.Name("note", request.note()));
  const std::int64_t life_ms = fields.LifeMs("lifetime", request.has_lifetime(), request.lifetime(), kLife);
  PEPEUNIT_RETURN_IF_ERROR(fields.Finish());
  const std::int64_t now_ms = NowMs();
  invitation.set_id(Uuid::New().ToString());
  invitation.set_created_by(caller.user_id.ToString());
  *invitation.mutable_created_at() = TimeUtil::MillisecondsToTimestamp(now_ms);
  *invitation.mutable_expires_at() = TimeUtil::MillisecondsToTimestamp(now_ms + life_ms);
  const std::string secret = NewSecretText(kInvitationPrefix);
  PEPEUNIT_RETURN_IF_ERROR(store_.CreateInvitation(ActorOf(caller), invitation, Sha256(AsBytes(secret)), kMostWaiting));
  out.set_id(invitation.id());
  out.set_secret(secret);
  *out.mutable_invitation() = std::move(invitation);
  return absl::OkStatus();
}

absl::Status Invitations::List(const rpc::Caller& caller, const graph::v1::ListInvitationsRequest& request,
                               graph::v1::ListInvitationsResponse& out) {
  PEPEUNIT_RETURN_IF_ERROR(RequireAdministrator(caller));
  const std::string list = "invitations";
  PEPEUNIT_ASSIGN_OR_RETURN(const Page page, ReadPage(list, request.page_size(), request.cursor()));
  PEPEUNIT_ASSIGN_OR_RETURN(auto rows, store_.ListInvitations(page));
  out.set_next_cursor(CutPage(list, page, &rows));
  for (auto& row : rows) *out.add_invitations() = std::move(row);
  return absl::OkStatus();
}

absl::Status Invitations::Delete(const rpc::Caller& caller, const std::string& id) {
  PEPEUNIT_RETURN_IF_ERROR(RequireAdministrator(caller));
  PEPEUNIT_RETURN_IF_ERROR(RequireMaker(caller));
  const auto uuid = Uuid::Parse(id);
  if (!uuid) return InvalidField("id", "is not a UUID");
  return store_.DeleteInvitation(ActorOf(caller), *uuid);
}

}  // namespace pepeunit::graph_registry
