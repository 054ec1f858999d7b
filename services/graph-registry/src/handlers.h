#pragma once

#include <vector>

#include "accounts.h"
#include "callers.h"
#include "change_feed.h"
#include "departures.h"
#include "exports.h"
#include "followers.h"
#include "instance.h"
#include "internals.h"
#include "invitations.h"
#include "links.h"
#include "neighbourhoods.h"
#include "nodes.h"
#include "oidc.h"
#include "people.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/graph/v1/graph.grpc.pb.h"
#include "pepeunit/graph/v1/internal.grpc.pb.h"
#include "pepeunit/graph/v1/invitations.grpc.pb.h"
#include "pepeunit/graph/v1/nodes.grpc.pb.h"
#include "pepeunit/graph/v1/oidc.grpc.pb.h"
#include "pepeunit/graph/v1/repo_units.grpc.pb.h"
#include "pepeunit/graph/v1/rollouts.grpc.pb.h"
#include "pepeunit/graph/v1/tokens.grpc.pb.h"
#include "pepeunit/graph/v1/units.grpc.pb.h"
#include "pepeunit/graph/v1/users.grpc.pb.h"
#include "pepeunit/graph/v1/watch.grpc.pb.h"
#include "pepeunit/rpc/server.h"
#include "personal_tokens.h"
#include "repo_units.h"
#include "rights.h"
#include "rollouts.h"
#include "unit_updates.h"
#include "units.h"

// gRPC in front of the domain: one forwarding line per rpc. In each, `x` is the caller, `q` the request, `r` the
// response.
namespace pepeunit::graph_registry {

using Empty = google::protobuf::Empty;

#define PEPEUNIT_FORWARD(Method, Request, Response, expression) \
  PEPEUNIT_FORWARD_IN(calls_, Method, Request, Response, expression)
#define PEPEUNIT_FORWARD_IN(lane, Method, Request, Response, expression)                                             \
  grpc::ServerUnaryReactor* Method(grpc::CallbackServerContext* context, const Request* request, Response* response) \
      override {                                                                                                     \
    return lane.Unary(context, request, response,                                                                    \
                      [this](const rpc::Context& call, const Request& q, Response& r) -> absl::Status {              \
                        PEPEUNIT_ASSIGN_OR_RETURN(const rpc::Caller x, AdmitCaller(call.caller));                    \
                        Domain& domain = domain_;                                                                    \
                        (void)x, (void)q, (void)r;                                                                   \
                        return domain.expression;                                                                    \
                      });                                                                                            \
  }

// `Admit` says whom the service answers at all.
template <typename Base, typename DomainClass, absl::Status (*Admit)(const rpc::Caller&)>
class Handler : public Base {
 public:
  Handler(rpc::Calls& calls, const Callers& callers, DomainClass& domain)
      : calls_(calls), callers_(callers), domain_(domain) {}

 protected:
  using Domain = DomainClass;

  absl::StatusOr<rpc::Caller> AdmitCaller(const rpc::Caller& caller) const {
    PEPEUNIT_RETURN_IF_ERROR(Admit(caller));
    return callers_.Admit(caller);
  }

  rpc::Calls& calls_;
  const Callers& callers_;
  Domain& domain_;
};

// One's own account, and users as others see and govern them.
struct Users {
  Accounts& own;
  People& all;
  Departures& departures;
  Exports& exports;
  rpc::Calls &passwords, &downloads;
};

struct Sessions {
  Accounts& accounts;
  rpc::Calls& passwords;
};

class UserHandler final : public Handler<graph::v1::UserService::CallbackService, Users, AdmitPeople> {
 public:
  using Handler::Handler;
  PEPEUNIT_FORWARD_IN(domain_.passwords, CreateUser, graph::v1::CreateUserRequest, graph::v1::User, own.SignUp(x, q, r))
  PEPEUNIT_FORWARD(GetCurrentUser, graph::v1::GetCurrentUserRequest, graph::v1::User, own.Current(x, r))
  PEPEUNIT_FORWARD_IN(domain_.passwords, ChangePassword, graph::v1::ChangePasswordRequest, Empty,
                      own.ChangePassword(x, q))
  PEPEUNIT_FORWARD_IN(domain_.passwords, RedeemReset, graph::v1::RedeemResetRequest, Empty,
                      own.RedeemReset(q, x.client_address))
  PEPEUNIT_FORWARD(ListUsers, graph::v1::ListUsersRequest, graph::v1::ListUsersResponse, all.List(x, q, r))
  PEPEUNIT_FORWARD(SetAdministrator, graph::v1::SetAdministratorRequest, graph::v1::User, all.SetAdministrator(x, q, r))
  PEPEUNIT_FORWARD(ResetPassword, graph::v1::ResetPasswordRequest, graph::v1::PasswordReset, all.ResetPassword(x, q, r))
  PEPEUNIT_FORWARD_IN(domain_.passwords, DeleteCurrentUser, graph::v1::DeleteCurrentUserRequest,
                      graph::v1::UserDeletion, departures.DeleteCurrent(x, q, r))
  PEPEUNIT_FORWARD(DeleteUser, graph::v1::DeleteUserRequest, graph::v1::UserDeletion, departures.Delete(x, q, r))
  PEPEUNIT_FORWARD(GetUser, graph::v1::GetUserRequest, graph::v1::User, all.Get(x, q.id(), r))
  PEPEUNIT_FORWARD(BlockUser, graph::v1::BlockUserRequest, graph::v1::User, all.Block(x, q, r))
  grpc::ServerWriteReactor<common::v1::FileChunk>* ExportCurrentUser(
      grpc::CallbackServerContext* context, const graph::v1::ExportCurrentUserRequest* request) override {
    using Request = graph::v1::ExportCurrentUserRequest;
    return domain_.downloads.ServerStream<Request, common::v1::FileChunk>(
        context, request,
        [this](const rpc::Context& call, const Request&, const Exports::Write& write) -> absl::Status {
          PEPEUNIT_ASSIGN_OR_RETURN(const rpc::Caller x, AdmitCaller(call.caller));
          return domain_.exports.Current(x, write);
        });
  }
  PEPEUNIT_FORWARD(UnblockUser, graph::v1::UnblockUserRequest, graph::v1::User, all.Unblock(x, q.id(), r))
};

class InstanceHandler final : public Handler<graph::v1::InstanceService::CallbackService, Instance, AdmitPeople> {
 public:
  using Handler::Handler;
  PEPEUNIT_FORWARD(GetInstance, graph::v1::GetInstanceRequest, graph::v1::Instance, Get(r))
};

class InvitationHandler final
    : public Handler<graph::v1::InvitationService::CallbackService, Invitations, AdmitPeople> {
 public:
  using Handler::Handler;
  PEPEUNIT_FORWARD(CreateInvitation, graph::v1::CreateInvitationRequest, graph::v1::IssuedInvitation, Create(x, q, r))
  PEPEUNIT_FORWARD(ListInvitations, graph::v1::ListInvitationsRequest, graph::v1::ListInvitationsResponse,
                   List(x, q, r))
  PEPEUNIT_FORWARD(DeleteInvitation, graph::v1::DeleteInvitationRequest, Empty, Delete(x, q.id()))
};

class SessionHandler final : public Handler<graph::v1::SessionService::CallbackService, Sessions, AdmitPeople> {
 public:
  using Handler::Handler;
  PEPEUNIT_FORWARD_IN(domain_.passwords, CreateSession, graph::v1::CreateSessionRequest, graph::v1::Session,
                      accounts.SignIn(q, r, x.client_address))
  PEPEUNIT_FORWARD(RefreshSession, graph::v1::RefreshSessionRequest, graph::v1::Session, accounts.Refresh(q, r))
  PEPEUNIT_FORWARD(ListSessions, graph::v1::ListSessionsRequest, graph::v1::ListSessionsResponse,
                   accounts.ListSessions(x, r))
  PEPEUNIT_FORWARD(DeleteOtherSessions, graph::v1::DeleteOtherSessionsRequest, Empty, accounts.EndOtherSessions(x))
  PEPEUNIT_FORWARD(DeleteSession, graph::v1::DeleteSessionRequest, Empty, accounts.SignOut(x, q))
};

class TokenHandler final : public Handler<graph::v1::TokenService::CallbackService, PersonalTokens, AdmitPeople> {
 public:
  using Handler::Handler;
  PEPEUNIT_FORWARD(CreatePersonalToken, graph::v1::CreatePersonalTokenRequest, graph::v1::IssuedPersonalToken,
                   Create(x, q, r))
  PEPEUNIT_FORWARD(ListPersonalTokens, graph::v1::ListPersonalTokensRequest, graph::v1::ListPersonalTokensResponse,
                   List(x, q, r))
  PEPEUNIT_FORWARD(DeletePersonalToken, graph::v1::DeletePersonalTokenRequest, Empty, Delete(x, q.id()))
};

class OidcHandler final : public Handler<graph::v1::OidcService::CallbackService, Oidc, AdmitPeople> {
 public:
  using Handler::Handler;
  PEPEUNIT_FORWARD(ListOidcProviders, graph::v1::ListOidcProvidersRequest, graph::v1::ListOidcProvidersResponse,
                   List(r))
  PEPEUNIT_FORWARD(BeginOidc, graph::v1::BeginOidcRequest, graph::v1::OidcFlow, Begin(x, q, r))
  PEPEUNIT_FORWARD(FinishOidc, graph::v1::FinishOidcRequest, graph::v1::Session, Finish(x, q, r))
};

class IdentityHandler final : public Handler<graph::v1::IdentityService::CallbackService, Oidc, AdmitPeople> {
 public:
  using Handler::Handler;
  PEPEUNIT_FORWARD(CreateIdentity, graph::v1::FinishOidcRequest, graph::v1::Identity, Link(x, q, r))
  PEPEUNIT_FORWARD(ListIdentities, graph::v1::ListIdentitiesRequest, graph::v1::ListIdentitiesResponse,
                   ListIdentities(x, q, r))
  PEPEUNIT_FORWARD(DeleteIdentity, graph::v1::DeleteIdentityRequest, Empty, Unlink(x, q.id()))
};

struct RepoUnitCalls {
  RepoUnits& repos;
  Followers& followers;
};

class RepoUnitHandler final : public Handler<graph::v1::RepoUnitService::CallbackService, RepoUnitCalls, AdmitPeople> {
 public:
  using Handler::Handler;
  PEPEUNIT_FORWARD(CreateRepoUnit, graph::v1::CreateRepoUnitRequest, graph::v1::RepoUnit, repos.Create(x, q, r))
  PEPEUNIT_FORWARD(GetRepoUnit, graph::v1::GetRepoUnitRequest, graph::v1::RepoUnit, repos.Get(x, q.id(), r))
  PEPEUNIT_FORWARD(ListRepoUnits, graph::v1::ListRepoUnitsRequest, graph::v1::ListRepoUnitsResponse,
                   repos.List(x, q, r))
  PEPEUNIT_FORWARD(UpdateRepoUnit, graph::v1::UpdateRepoUnitRequest, graph::v1::RepoUnit, repos.Update(x, q, r))
  PEPEUNIT_FORWARD(DeleteRepoUnit, graph::v1::DeleteRepoUnitRequest, Empty, repos.Delete(x, q.id()))
  PEPEUNIT_FORWARD(SyncRepoUnit, graph::v1::SyncRepoUnitRequest, graph::v1::RepoUnit, repos.Sync(x, q.id(), r))
  PEPEUNIT_FORWARD(PreviewFollow, graph::v1::PreviewFollowRequest, graph::v1::FollowPreview, followers.Preview(x, q, r))
  PEPEUNIT_FORWARD(ListStandardRepositories, graph::v1::ListStandardRepositoriesRequest,
                   graph::v1::ListStandardRepositoriesResponse, repos.ListStandard(r))
};

class RolloutHandler final : public Handler<graph::v1::RolloutService::CallbackService, Rollouts, AdmitPeople> {
 public:
  using Handler::Handler;
  PEPEUNIT_FORWARD(CreateRollout, graph::v1::CreateRolloutRequest, graph::v1::Rollout, Create(x, q, r))
  PEPEUNIT_FORWARD(GetRollout, graph::v1::GetRolloutRequest, graph::v1::Rollout, Get(x, q.id(), r))
  PEPEUNIT_FORWARD(ListRollouts, graph::v1::ListRolloutsRequest, graph::v1::ListRolloutsResponse, List(x, q, r))
  PEPEUNIT_FORWARD(ListRolloutUnits, graph::v1::ListRolloutUnitsRequest, graph::v1::ListRolloutUnitsResponse,
                   ListUnits(x, q, r))
  PEPEUNIT_FORWARD(PauseRollout, graph::v1::PauseRolloutRequest, graph::v1::Rollout, Pause(x, q.id(), r))
  PEPEUNIT_FORWARD(ResumeRollout, graph::v1::ResumeRolloutRequest, graph::v1::Rollout, Resume(x, q.id(), r))
  PEPEUNIT_FORWARD(RetryRollout, graph::v1::RetryRolloutRequest, graph::v1::Rollout, Retry(x, q.id(), r))
  PEPEUNIT_FORWARD(AbortRollout, graph::v1::AbortRolloutRequest, graph::v1::Rollout, Abort(x, q.id(), r))
  PEPEUNIT_FORWARD(RollBackRollout, graph::v1::RollBackRolloutRequest, graph::v1::Rollout, RollBack(x, q.id(), r))
};

// Units, and how far their devices are.
struct UnitCalls {
  Units& units;
  UnitUpdates& updates;

  absl::Status RetryUpdate(const rpc::Caller& caller, const std::string& id, graph::v1::Unit& out) {
    PEPEUNIT_RETURN_IF_ERROR(updates.Retry(caller, id));
    return units.Get(caller, id, out);
  }
};

class UnitHandler final : public Handler<graph::v1::UnitService::CallbackService, UnitCalls, AdmitPeople> {
 public:
  using Handler::Handler;
  PEPEUNIT_FORWARD(CreateUnit, graph::v1::CreateUnitRequest, graph::v1::Unit, units.Create(x, q, r))
  PEPEUNIT_FORWARD(GetUnit, graph::v1::GetUnitRequest, graph::v1::Unit, units.Get(x, q.id(), r))
  PEPEUNIT_FORWARD(ListUnits, graph::v1::ListUnitsRequest, graph::v1::ListUnitsResponse, units.List(x, q, r))
  PEPEUNIT_FORWARD(UpdateUnit, graph::v1::UpdateUnitRequest, graph::v1::Unit, units.Update(x, q, r))
  PEPEUNIT_FORWARD(MoveUnit, graph::v1::MoveUnitRequest, graph::v1::UnitMove, units.Move(x, q, r))
  PEPEUNIT_FORWARD(ResetUnitEnv, graph::v1::ResetUnitEnvRequest, graph::v1::Unit, units.ResetEnv(x, q.id(), r))
  PEPEUNIT_FORWARD(RetryUnitUpdate, graph::v1::RetryUnitUpdateRequest, graph::v1::Unit, RetryUpdate(x, q.id(), r))
  PEPEUNIT_FORWARD(DeleteUnit, graph::v1::DeleteUnitRequest, Empty, units.Delete(x, q.id()))
  PEPEUNIT_FORWARD(ListUnitVariables, graph::v1::ListUnitVariablesRequest, graph::v1::ListUnitVariablesResponse,
                   units.ListVariables(x, q.unit_id(), r))
};

class VariableHandler final : public Handler<graph::v1::VariableService::CallbackService, Units, AdmitPeople> {
 public:
  using Handler::Handler;
  PEPEUNIT_FORWARD(GetVariable, graph::v1::GetVariableRequest, graph::v1::Variable, GetVariable(x, q.id(), r))
  PEPEUNIT_FORWARD(UpdateVariable, graph::v1::UpdateVariableRequest, graph::v1::Variable, UpdateVariable(x, q, r))
  PEPEUNIT_FORWARD(SetVariableValue, graph::v1::SetVariableValueRequest, graph::v1::SetVariableValueResponse,
                   SetValue(x, q, r))
};

class LinkHandler final : public Handler<graph::v1::LinkService::CallbackService, Links, AdmitPeople> {
 public:
  using Handler::Handler;
  PEPEUNIT_FORWARD(CreateLink, graph::v1::CreateLinkRequest, graph::v1::Link, Create(x, q, r))
  PEPEUNIT_FORWARD(GetLink, graph::v1::GetLinkRequest, graph::v1::Link, Get(x, q.id(), r))
  PEPEUNIT_FORWARD(ListLinks, graph::v1::ListLinksRequest, graph::v1::ListLinksResponse, List(x, q, r))
  PEPEUNIT_FORWARD(DeleteLink, graph::v1::DeleteLinkRequest, Empty, Delete(x, q.id()))
};

class NodeHandler final : public Handler<graph::v1::NodeService::CallbackService, Nodes, AdmitPeople> {
 public:
  using Handler::Handler;
  PEPEUNIT_FORWARD(GetNode, graph::v1::GetNodeRequest, graph::v1::Node, Get(x, q.id(), r))
  PEPEUNIT_FORWARD(SetNodeLevel, graph::v1::SetNodeLevelRequest, graph::v1::LevelChange, SetLevel(x, q, r))
  PEPEUNIT_FORWARD(ListGrants, graph::v1::ListGrantsRequest, graph::v1::ListGrantsResponse, ListGrants(x, q, r))
  PEPEUNIT_FORWARD(PutGrant, graph::v1::PutGrantRequest, graph::v1::Grant, PutGrant(x, q, r))
  PEPEUNIT_FORWARD(DeleteGrant, graph::v1::DeleteGrantRequest, Empty, DeleteGrant(x, q))
};

class AuditHandler final : public Handler<graph::v1::AuditService::CallbackService, Nodes, AdmitPeople> {
 public:
  using Handler::Handler;
  PEPEUNIT_FORWARD(ListAuditRecords, graph::v1::ListAuditRecordsRequest, graph::v1::ListAuditRecordsResponse,
                   ListAudit(x, q, r))
};

class GraphHandler final : public Handler<graph::v1::GraphService::CallbackService, Neighbourhoods, AdmitPeople> {
 public:
  using Handler::Handler;
  PEPEUNIT_FORWARD(GetNeighbourhood, graph::v1::GetNeighbourhoodRequest, graph::v1::Neighbourhood, Get(x, q, r))
  PEPEUNIT_FORWARD(SearchNodes, graph::v1::SearchNodesRequest, graph::v1::SearchNodesResponse, Search(x, q, r))
};

class InternalHandler final : public Handler<graph::v1::GraphInternalService::CallbackService, Internals, AdmitAll> {
 public:
  using Handler::Handler;
  PEPEUNIT_FORWARD(Authorize, graph::v1::AuthorizeRequest, graph::v1::AuthorizeResponse, Authorize(x, q, r))
  PEPEUNIT_FORWARD(AuthorizeLink, graph::v1::AuthorizeLinkRequest, graph::v1::AuthorizeLinkResponse,
                   AuthorizeLink(x, q.link_id()))
  PEPEUNIT_FORWARD(GetUnitProfile, graph::v1::GetUnitProfileRequest, graph::v1::UnitProfile,
                   UnitProfile(x, q.unit_id(), r))
  PEPEUNIT_FORWARD(GetUnitPackage, graph::v1::GetUnitPackageRequest, graph::v1::UnitPackage,
                   UnitPackage(x, q.unit_id(), r))
  PEPEUNIT_FORWARD(ListRepositoriesToKeep, graph::v1::ListRepositoriesToKeepRequest,
                   graph::v1::ListRepositoriesToKeepResponse, RepositoriesToKeep(x, q.cursor(), r))
  PEPEUNIT_FORWARD(FindOutputs, graph::v1::FindOutputsRequest, graph::v1::FindOutputsResponse, FindOutputs(x, q, r))
  PEPEUNIT_FORWARD(ListHistories, graph::v1::ListHistoriesRequest, graph::v1::ListHistoriesResponse,
                   Histories(x, q.cursor(), r))
  PEPEUNIT_FORWARD(OpenPersonalToken, graph::v1::OpenPersonalTokenRequest, graph::v1::OpenedPersonalToken,
                   OpenToken(x, q.sha256(), r))
};

class FeedHandler final : public Handler<graph::v1::GraphFeedService::CallbackService, ChangeFeed, AdmitPeople> {
 public:
  using Handler::Handler;
  grpc::ServerWriteReactor<graph::v1::GraphChange>* WatchGraph(grpc::CallbackServerContext* context,
                                                               const graph::v1::WatchGraphRequest* request) override {
    return calls_.Feed<graph::v1::WatchGraphRequest, graph::v1::GraphChange>(
        context, request, ChangeFeed::kQueue,
        [this](const rpc::Context& call, const graph::v1::WatchGraphRequest& q,
               std::shared_ptr<ChangeFeed::Outlet> outlet) -> absl::Status {
          PEPEUNIT_ASSIGN_OR_RETURN(const rpc::Caller x, AdmitCaller(call.caller));
          return domain_.Watch(x, q, std::move(outlet));
        });
  }
};

#undef PEPEUNIT_FORWARD
#undef PEPEUNIT_FORWARD_IN

// All of them, for the server.
class Handlers {
 public:
  // Where calls run: most; those that wait for a password to be hashed, for programs on the web, for slow receivers.
  struct Lanes {
    rpc::Calls &calls, &passwords, &web_calls, &downloads;
  };

  Handlers(Lanes lanes, const Callers& callers, Accounts& accounts, People& people, Departures& departures,
           Exports& exports, Invitations& invitations, PersonalTokens& tokens, Oidc& oidc, RepoUnits& repo_units,
           Followers& followers, Rollouts& rollouts, Units& units, UnitUpdates& updates, Links& links, Nodes& nodes,
           Neighbourhoods& neighbourhoods, Internals& internals, ChangeFeed& feed)
      : users_of_{accounts, people, departures, exports, lanes.passwords, lanes.downloads},
        sessions_of_{accounts, lanes.passwords},
        instance_of_(accounts, oidc),
        repo_units_of_{repo_units, followers},
        units_of_{units, updates},
        users_(lanes.calls, callers, users_of_),
        instance_(lanes.calls, callers, instance_of_),
        invitations_(lanes.calls, callers, invitations),
        sessions_(lanes.calls, callers, sessions_of_),
        tokens_(lanes.calls, callers, tokens),
        oidc_(lanes.web_calls, callers, oidc),
        identities_(lanes.web_calls, callers, oidc),
        repo_units_(lanes.calls, callers, repo_units_of_),
        rollouts_(lanes.calls, callers, rollouts),
        units_(lanes.calls, callers, units_of_),
        variables_(lanes.calls, callers, units),
        links_(lanes.calls, callers, links),
        nodes_(lanes.calls, callers, nodes),
        audit_(lanes.calls, callers, nodes),
        graph_(lanes.calls, callers, neighbourhoods),
        internals_(lanes.calls, callers, internals),
        feed_(lanes.calls, callers, feed) {}

  std::vector<grpc::Service*> All() {
    return {&users_, &instance_,  &invitations_, &sessions_, &tokens_, &oidc_,  &identities_, &repo_units_, &rollouts_,
            &units_, &variables_, &links_,       &nodes_,    &audit_,  &graph_, &internals_,  &feed_};
  }

 private:
  Users users_of_;
  Sessions sessions_of_;
  Instance instance_of_;
  RepoUnitCalls repo_units_of_;
  UnitCalls units_of_;
  UserHandler users_;
  InstanceHandler instance_;
  InvitationHandler invitations_;
  SessionHandler sessions_;
  TokenHandler tokens_;
  OidcHandler oidc_;
  IdentityHandler identities_;
  RepoUnitHandler repo_units_;
  RolloutHandler rollouts_;
  UnitHandler units_;
  VariableHandler variables_;
  LinkHandler links_;
  NodeHandler nodes_;
  AuditHandler audit_;
  GraphHandler graph_;
  InternalHandler internals_;
  FeedHandler feed_;
};

}  // namespace pepeunit::graph_registry
