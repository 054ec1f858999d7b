#include <catch2/catch.hpp>

#include "graph_player.h"

// The operations that a player plays.
namespace pepeunit::graph_registry {

using model::StatusCode;

namespace {

constexpr std::size_t kMostUsers = 6;

common::v1::AccessLevel LevelOf(int level) { return static_cast<common::v1::AccessLevel>(level); }

}  // namespace

const std::vector<std::pair<const char*, Player::Operation>>& Player::Operations() {
  // Those that build come more often, so that there is something to break.
  static const std::vector<std::pair<const char*, Operation>> operations = {
      {"sign up", &Player::SignUp},
      {"sign in", &Player::SignIn},
      {"sign in", &Player::SignIn},
      {"block", &Player::Block},
      {"sign out", &Player::SignOut},
      {"unblock", &Player::Unblock},
      {"set administrator", &Player::SetAdministrator},
      {"delete user", &Player::DeleteUser},
      {"delete user", &Player::DeleteUser},
      {"delete himself", &Player::DeleteSelf},
      {"make token", &Player::MakeToken},
      {"make token", &Player::MakeToken},
      {"delete token", &Player::DeleteToken},
      {"make repo", &Player::MakeRepo},
      {"make repo", &Player::MakeRepo},
      {"configure", &Player::ConfigureRepo},
      {"configure", &Player::ConfigureRepo},
      {"configure", &Player::ConfigureRepo},
      {"sync", &Player::SyncRepo},
      {"delete repo", &Player::DeleteRepo},
      {"make unit", &Player::MakeUnit},
      {"make unit", &Player::MakeUnit},
      {"make unit", &Player::MakeUnit},
      {"make unit", &Player::MakeUnit},
      {"make unit", &Player::MakeUnit},
      {"update unit", &Player::UpdateUnit},
      {"move", &Player::MoveUnit},
      {"move", &Player::MoveUnit},
      {"push", &Player::Push},
      {"reset env", &Player::ResetEnv},
      {"delete unit", &Player::DeleteUnit},
      {"set level", &Player::SetLevel},
      {"set level", &Player::SetLevel},
      {"set level", &Player::SetLevel},
      {"put grant", &Player::PutGrant},
      {"put grant", &Player::PutGrant},
      {"put grant", &Player::PutGrant},
      {"put grant", &Player::PutGrant},
      {"delete grant", &Player::DeleteGrant},
      {"delete grant", &Player::DeleteGrant},
      {"draw", &Player::Draw},
      {"draw", &Player::Draw},
      {"draw", &Player::Draw},
      {"draw", &Player::Draw},
      {"draw", &Player::Draw},
      {"draw", &Player::Draw},
      {"delete link", &Player::DeleteLink},
      {"update variable", &Player::UpdateVariable},
      {"set value", &Player::SetValue},
      {"look", &Player::Look},
  };
  return operations;
}

std::string Player::NextLogin() {
  const auto user = std::next(m_.users.begin(), Next(static_cast<unsigned>(m_.users.size())));
  return w_.people.GetUser(*Uuid::Parse(user->first))->login();
}

StatusCode Player::SignUp() {
  const bool taken = m_.users.size() == kMostUsers;
  const std::string login = taken ? NextLogin() : "user" + std::to_string(users_);
  graph::v1::CreateUserRequest request;
  request.set_login(login);
  request.set_password("password of " + login);
  graph::v1::User user;
  const absl::Status status = w_.accounts.SignUp({}, request, user);
  Expect(taken ? StatusCode::kAlreadyExists : StatusCode::kOk, status);
  if (!status.ok()) return status.code();
  ++users_;
  m_.users[user.id()] = {};
  m_.nodes[user.id()] = {model::kUser, model::kInstance, "", user.id()};
  m_.Log({user.id()}, "user.create", user.id());
  return status.code();
}

StatusCode Player::SignIn() {
  const std::string login = NextLogin();
  graph::v1::CreateSessionRequest request;
  request.set_login(login);
  request.set_password("password of " + login);
  graph::v1::Session session;
  const absl::Status status = w_.accounts.SignIn(request, session);
  const auto account = w_.people.FindAccount(login);
  const std::string id = account->user.id();
  const model::User& user = m_.users.at(id);
  Expect(user.blocked ? StatusCode::kPermissionDenied : StatusCode::kOk, status);
  if (!status.ok()) return status.code();
  AddCaller({.kind = rpc::Caller::Kind::kUser,
             .user_id = *Uuid::Parse(id),
             .session_id = *Uuid::Parse(session.id()),
             .administrator = user.admin},
            model::kOwner, user.admin);
  m_.Log({id}, "session.create", id);
  return status.code();
}

StatusCode Player::SignOut() {
  Who& session = who_[Next(static_cast<unsigned>(who_.size()))];
  const bool sessions = caller_.reach == rpc::Caller::Reach::kAll;
  const bool own = session.lives && session.viewer.id == viewer_.id && session.caller.reach == caller_.reach;
  graph::v1::DeleteSessionRequest request;
  request.set_id(session.caller.session_id.ToString());
  const absl::Status status = w_.accounts.SignOut(caller_, request);
  Expect(viewer_.id.empty() ? StatusCode::kUnauthenticated
         : !sessions        ? StatusCode::kPermissionDenied
         : own              ? StatusCode::kOk
                            : StatusCode::kNotFound,
         status);
  if (!status.ok()) return status.code();
  session.lives = false;
  m_.Log(viewer_, "session.delete", viewer_.id);
  return status.code();
}

StatusCode Player::BlockOrNot(bool block) {
  const std::string id = NextOf(model::kUser);
  const bool stop = block && Next(2) == 0;
  const StatusCode expected = m_.CanBlock(viewer_, id, block);
  graph::v1::User user;
  graph::v1::BlockUserRequest request;
  request.set_id(id);
  request.set_stop_devices(stop);
  const absl::Status status = block ? w_.users.Block(caller_, request, user) : w_.users.Unblock(caller_, id, user);
  told_ += " of " + id;
  Expect(expected, status);
  if (!status.ok()) return status.code();
  m_.users.at(id).blocked = block;
  m_.users.at(id).stopped = stop;
  for (Who& who : who_) {
    if (block && who.viewer.id == id) who.lives = false;
  }
  m_.Log(viewer_, block ? "user.block" : "user.unblock", id);
  return status.code();
}

StatusCode Player::Block() { return BlockOrNot(true); }
StatusCode Player::Unblock() { return BlockOrNot(false); }

StatusCode Player::SetAdministrator() {
  const std::string id = NextOf(model::kUser);
  const bool administrator = Next(2) == 0;
  StatusCode expected = m_.CanGovern(viewer_, id);
  if (expected == StatusCode::kOk && !administrator && m_.IsLastAdministrator(id))
    expected = StatusCode::kFailedPrecondition;
  graph::v1::SetAdministratorRequest request;
  request.set_id(id);
  request.set_administrator(administrator);
  graph::v1::User user;
  const absl::Status status = w_.users.SetAdministrator(caller_, request, user);
  told_ += " of " + id + ": " + (administrator ? "yes" : "no");
  Expect(expected, status);
  if (!status.ok() || m_.users.at(id).admin == administrator) return status.code();
  m_.users.at(id).admin = administrator;
  for (Who& who : who_) {
    if (who.viewer.id == id) who.viewer.admin = administrator && who.governs;
  }
  m_.Log(viewer_, "user.set-administrator", id);
  return status.code();
}

bool Player::NextRemoval(const std::string& user, bool* transfer, std::string* heir) {
  *transfer = Next(2) == 0;
  if (*transfer) *heir = NextOf(model::kUser);
  const bool preview = Next(4) == 0;
  told_ += " of " + user + (*transfer ? ", to " + *heir : ", nodes too") + (preview ? ", preview" : "");
  return !preview;
}

StatusCode Player::DeleteUser() {
  const std::string id = NextOf(model::kUser);
  bool transfer = false;
  std::string heir;
  const bool preview = !NextRemoval(id, &transfer, &heir);
  StatusCode expected = m_.CanGovern(viewer_, id);
  if (expected == StatusCode::kOk && id == viewer_.id) expected = StatusCode::kInvalidArgument;
  if (expected == StatusCode::kOk) expected = m_.CanRemove(viewer_, id, transfer, heir, false, preview);
  graph::v1::DeleteUserRequest request;
  request.set_id(id);
  request.set_nodes(transfer ? graph::v1::NODES_CHOICE_TRANSFER : graph::v1::NODES_CHOICE_DELETE);
  request.set_transfer_to(heir);
  request.set_preview(preview);
  graph::v1::UserDeletion deletion;
  const absl::Status status = w_.departures.Delete(caller_, request, deletion);
  Expect(expected, status);
  if (status.ok()) Removed(id, transfer, heir, preview, deletion);
  return status.code();
}

StatusCode Player::DeleteSelf() {
  const std::string id = viewer_.id;
  bool transfer = false;
  std::string heir;
  const bool preview = !NextRemoval(id, &transfer, &heir);
  StatusCode expected = id.empty()         ? StatusCode::kUnauthenticated
                        : !viewer_.session ? StatusCode::kPermissionDenied
                                           : m_.CanRemove(viewer_, id, transfer, heir, true, preview);
  graph::v1::DeleteCurrentUserRequest request;
  if (!id.empty()) request.set_current_password("password of " + w_.people.GetUser(caller_.user_id)->login());
  request.set_nodes(transfer ? graph::v1::NODES_CHOICE_TRANSFER : graph::v1::NODES_CHOICE_DELETE);
  request.set_transfer_to(heir);
  request.set_preview(preview);
  graph::v1::UserDeletion deletion;
  const absl::Status status = w_.departures.DeleteCurrent(caller_, request, deletion);
  Expect(expected, status);
  if (status.ok()) Removed(id, transfer, heir, preview, deletion);
  return status.code();
}

void Player::Removed(const std::string& user, bool transfer, const std::string& heir, bool preview,
                     const graph::v1::UserDeletion& told) {
  std::map<int, std::int32_t> owned;
  for (const auto& [id, node] : m_.nodes) {
    if (node.owner != user) continue;
    ++owned[node.type];
    if (!preview && !transfer) gone_.push_back(id);
  }
  if (told.units() != owned[model::kUnit] || told.repo_units() != owned[model::kRepo] ||
      static_cast<std::size_t>(told.units_of_others()) != m_.UnitsOfOthers(user))
    Wrong("other nodes are told to go than those that go");
  if (preview) return;
  if (transfer) gone_.push_back(user);
  m_.Remove(viewer_, user, transfer ? heir : "");
  for (Who& who : who_) {
    if (who.viewer.id == user) who.lives = false;
  }
}

StatusCode Player::MakeToken() {
  constexpr rpc::Caller::Reach kReach[] = {rpc::Caller::Reach::kRead, rpc::Caller::Reach::kWrite,
                                           rpc::Caller::Reach::kManage};
  constexpr int kCaps[] = {model::kReader, model::kWriter, model::kOwner};
  const unsigned scope = Next(3);
  const bool admin = Next(3) == 0;
  graph::v1::CreatePersonalTokenRequest request;
  request.set_name("token");
  request.add_scopes(static_cast<graph::v1::TokenScope>(graph::v1::TOKEN_SCOPE_READ + static_cast<int>(scope)));
  if (admin) request.add_scopes(graph::v1::TOKEN_SCOPE_ADMIN);
  request.mutable_expires_at()->set_seconds(NowMs() / 1000 + 36'000);
  graph::v1::IssuedPersonalToken issued;
  const absl::Status status = w_.tokens.Create(caller_, request, issued);
  const bool session = caller_.reach == rpc::Caller::Reach::kAll;
  Expect(viewer_.id.empty()        ? StatusCode::kUnauthenticated
         : !session                ? StatusCode::kPermissionDenied
         : admin && !viewer_.admin ? StatusCode::kInvalidArgument
                                   : StatusCode::kOk,
         status);
  if (!status.ok()) return status.code();
  rpc::Caller caller = caller_;
  caller.session_id = *Uuid::Parse(issued.id());
  caller.reach = kReach[scope];
  caller.administrator = admin;
  AddCaller(caller, kCaps[scope], admin);
  m_.Log(viewer_, "token.create", viewer_.id);
  return status.code();
}

StatusCode Player::DeleteToken() {
  Who& token = who_[Next(static_cast<unsigned>(who_.size()))];
  const bool own = token.lives && token.viewer.id == viewer_.id && token.caller.reach != rpc::Caller::Reach::kAll;
  const absl::Status status = w_.tokens.Delete(caller_, token.caller.session_id.ToString());
  Expect(viewer_.id.empty()                          ? StatusCode::kUnauthenticated
         : caller_.reach != rpc::Caller::Reach::kAll ? StatusCode::kPermissionDenied
         : own                                       ? StatusCode::kOk
                                                     : StatusCode::kNotFound,
         status);
  if (!status.ok()) return status.code();
  token.lives = false;
  m_.Log(viewer_, "token.delete", viewer_.id);
  return status.code();
}

StatusCode Player::MakeRepo() {
  const int level = 1 + static_cast<int>(Next(4));
  graph::v1::CreateRepoUnitRequest request;
  request.set_name("firmware");
  request.set_url("https://example.org/firmware.git");
  request.set_level(LevelOf(level));
  graph::v1::RepoUnit repo;
  const absl::Status status = w_.repo_units.Create(caller_, request, repo);
  Expect(model::Graph::NeedMaker(viewer_), status);
  if (!status.ok()) return status.code();
  m_.nodes[repo.id()] = {model::kRepo, level, "", viewer_.id};
  m_.repos[repo.id()] = "";
  m_.Log(viewer_, "repo_unit.create", repo.id());
  // Half of them are ready at once, else too few sequences come to units.
  if (Next(2) == 0 || m_.CanUseVersion(repo.id(), "next", "") != StatusCode::kOk) return status.code();
  graph::v1::UpdateRepoUnitRequest update;
  update.set_id(repo.id());
  update.set_default_branch("next");
  Expect(StatusCode::kOk, w_.repo_units.Update(caller_, update, repo));
  m_.repos[repo.id()] = "next";
  ++m_.nodes.at(repo.id()).version;
  m_.Log(viewer_, "repo_unit.update", repo.id());
  return status.code();
}

StatusCode Player::ConfigureRepo() {
  static const char* const kBranches[] = {"main", "main", "next", "broken", "absent"};
  const std::string id = NextOf(model::kRepo), branch = kBranches[Next(5)];
  const int level = static_cast<int>(Next(8));
  const bool match = NextIfMatch(id);
  graph::v1::UpdateRepoUnitRequest request;
  request.set_id(id);
  request.set_default_branch(branch);
  if (level >= 1 && level <= 4) request.set_level(LevelOf(level));
  StatusCode expected = m_.NeedOf(model::kRepo, viewer_, id, model::kMaintainer);
  if (expected == StatusCode::kOk && !match) expected = StatusCode::kFailedPrecondition;
  if (expected == StatusCode::kOk) expected = m_.CanUseVersion(id, branch, "");
  graph::v1::RepoUnit repo;
  const absl::Status status = w_.repo_units.Update(caller_, request, repo);
  told_ += " of " + id + " to " + branch;
  Expect(expected, status);
  if (!status.ok()) return status.code();
  m_.repos.at(id) = branch;
  ++m_.nodes.at(id).version;
  if (level >= 1 && level <= 4) m_.nodes.at(id).level = level;
  m_.Log(viewer_, "repo_unit.update", id);
  return status.code();
}

StatusCode Player::SyncRepo() {
  const std::string id = NextOf(model::kRepo);
  graph::v1::RepoUnit repo;
  const absl::Status status = w_.repo_units.Sync(caller_, id, repo);
  Expect(m_.NeedOf(model::kRepo, viewer_, id, model::kMaintainer), status);
  if (status.ok()) m_.Log(viewer_, "repo_unit.sync", id);
  return status.code();
}

StatusCode Player::DeleteRepo() {
  const std::string id = NextOf(model::kRepo);
  const absl::Status status = w_.repo_units.Delete(caller_, id);
  told_ += " of " + id;
  Expect(m_.CanDeleteRepo(viewer_, id), status);
  if (!status.ok()) return status.code();
  m_.Log(viewer_, "repo_unit.delete", id);
  m_.Erase(id);
  gone_.push_back(id);
  return status.code();
}

bool Player::NextPin(graph::v1::VersionChoice* pin, std::string* branch, std::string* commit) {
  static const char* const kBranches[] = {"main", "next", "broken", "absent"};
  switch (Next(4)) {
    case 0:
      *branch = kBranches[Next(4)];
      pin->set_branch(*branch);
      return true;
    case 1:
      *commit = std::string(40, "abcde"[Next(5)]);
      pin->set_commit(*commit);
      return true;
    default:
      return false;
  }
}

StatusCode Player::MakeUnit() {
  const std::string repo = NextOf(model::kRepo);
  const int level = 1 + static_cast<int>(Next(4));
  graph::v1::CreateUnitRequest request;
  request.set_repo_unit_id(repo);
  request.set_name("unit");
  request.set_level(LevelOf(level));
  std::string branch, commit;
  graph::v1::VersionChoice pin;
  const bool pinned = NextPin(&pin, &branch, &commit);
  if (pinned) *request.mutable_pin() = pin;
  StatusCode expected = model::Graph::NeedMaker(viewer_);
  if (expected == StatusCode::kOk) expected = m_.NeedOf(model::kRepo, viewer_, repo, model::kReader);
  if (expected == StatusCode::kOk && m_.repos.at(repo).empty()) expected = StatusCode::kFailedPrecondition;
  if (expected == StatusCode::kOk) expected = m_.CanUseVersion(repo, branch, commit);
  graph::v1::Unit unit;
  const absl::Status status = w_.units.Create(caller_, request, unit);
  Expect(expected, status);
  if (!status.ok()) return status.code();
  if (!pinned) branch = m_.repos.at(repo);
  if (commit.empty()) commit = m_.branches.at(branch);
  if (unit.version().commit() != commit || unit.version().branch() != branch || unit.version().follow() == pinned)
    Wrong("the unit stands at another version than was asked for");
  m_.nodes[unit.id()] = {model::kUnit, level, "", viewer_.id};
  m_.units[unit.id()] = {repo, commit, branch, !pinned};
  ReadVariables(unit.id(), m_.commits.at(commit));
  m_.Log(viewer_, "unit.create", unit.id());
  return status.code();
}

StatusCode Player::UpdateUnit() {
  const std::string id = NextOf(model::kUnit);
  const int level = 1 + static_cast<int>(Next(4));
  const bool match = NextIfMatch(id);
  graph::v1::UpdateUnitRequest request;
  request.set_id(id);
  request.set_name("renamed");
  request.set_level(LevelOf(level));
  StatusCode expected = m_.NeedOf(model::kUnit, viewer_, id, model::kMaintainer);
  if (expected == StatusCode::kOk && !match) expected = StatusCode::kFailedPrecondition;
  graph::v1::Unit unit;
  const absl::Status status = w_.units.Update(caller_, request, unit);
  told_ += " of " + id + " to level " + std::to_string(level);
  Expect(expected, status);
  if (!status.ok()) return status.code();
  m_.SetLevel(id, level, false);
  m_.Log(viewer_, "unit.update", id);
  return status.code();
}

StatusCode Player::MoveUnit() {
  const std::string id = NextOf(model::kUnit);
  const bool preview = Next(4) == 0, match = NextIfMatch(id);
  graph::v1::MoveUnitRequest request;
  request.set_id(id);
  request.set_preview(preview);
  std::string branch, commit;
  graph::v1::VersionChoice pin;
  const bool pinned = NextPin(&pin, &branch, &commit);
  if (pinned) *request.mutable_pin() = pin;
  request.set_follow(!pinned);
  StatusCode expected = m_.NeedOf(model::kUnit, viewer_, id, model::kMaintainer);
  const std::string repo = expected == StatusCode::kOk ? m_.units.at(id).repo : "";
  if (expected == StatusCode::kOk) expected = m_.NeedOf(model::kRepo, viewer_, repo, model::kReader);
  if (expected == StatusCode::kOk) expected = m_.CanUseVersion(repo, branch, commit);
  if (expected == StatusCode::kOk && !match) expected = StatusCode::kFailedPrecondition;
  graph::v1::UnitMove told;
  const absl::Status status = w_.units.Move(caller_, request, told);
  told_ += " of " + id + (pinned ? " to " + branch + commit.substr(0, 1) : " to follow") + (preview ? ", preview" : "");
  Expect(expected, status);
  if (!status.ok()) return status.code();
  if (!pinned) branch = m_.repos.at(repo);
  if (commit.empty()) commit = m_.branches.at(branch);
  const model::Unit& at = m_.units.at(id);
  if (preview || (at.commit == commit && at.branch == branch && at.follow == !pinned)) return status.code();
  m_.Log(viewer_, "unit.move", id);
  Moved(id, commit, branch, !pinned);
  return status.code();
}

StatusCode Player::ResetEnv() {
  const std::string id = NextOf(model::kUnit);
  const bool match = NextIfMatch(id);
  StatusCode expected = m_.NeedOf(model::kUnit, viewer_, id, model::kMaintainer);
  if (expected == StatusCode::kOk && !match) expected = StatusCode::kFailedPrecondition;
  graph::v1::Unit unit;
  const absl::Status status = w_.units.ResetEnv(caller_, id, unit);
  told_ += " of " + id;
  Expect(expected, status);
  if (!status.ok()) return status.code();
  ++m_.nodes.at(id).version;
  m_.Log(viewer_, "unit.reset-env", id);
  return status.code();
}

StatusCode Player::Push() {
  const std::string branch = Next(2) == 0 ? "main" : "next", commit(40, "abcd"[Next(4)]), repo = NextOf(model::kRepo);
  m_.branches[branch] = commit;
  auto version = w_.versions.versions.at("commit:" + commit);
  version.set_branch(branch);
  w_.versions.versions["branch:" + branch] = version;
  told_ = "push of " + branch + " to " + commit.substr(0, 1) + ", followed by " + repo;
  const absl::Status status = w_.FollowAll(*Uuid::Parse(repo));
  Expect(StatusCode::kOk, status);
  const auto found = m_.repos.find(repo);
  if (found == m_.repos.end() || found->second.empty()) return status.code();
  const std::string tip = m_.branches.at(found->second);
  if (m_.commits.at(tip).empty()) return status.code();
  for (const auto& [id, unit] : std::map(m_.units)) {
    const std::string& owner = m_.nodes.at(id).owner;
    if (!m_.Sees({owner, m_.users.at(owner).admin}, repo)) continue;
    if (unit.repo != repo || !unit.follow || (unit.commit == tip && unit.branch == found->second)) continue;
    m_.Log({}, "unit.move", id);
    Moved(id, tip, found->second, true);
  }
  return status.code();
}

StatusCode Player::DeleteUnit() {
  const std::string id = NextOf(model::kUnit);
  const absl::Status status = w_.units.Delete(caller_, id);
  told_ += " of " + id;
  Expect(m_.NeedOf(model::kUnit, viewer_, id, model::kOwner), status);
  if (!status.ok()) return status.code();
  m_.Log(viewer_, "unit.delete", id);
  for (const std::string& variable : m_.VariablesOf(id)) gone_.push_back(variable);
  m_.Erase(id);
  gone_.push_back(id);
  return status.code();
}

}  // namespace pepeunit::graph_registry
