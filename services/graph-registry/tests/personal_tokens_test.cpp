#include <google/protobuf/util/time_util.h>

#include <catch2/catch.hpp>

#include "pepeunit/base/personal_token.h"
#include "world.h"

using namespace pepeunit;
using namespace pepeunit::graph_registry;
using google::protobuf::util::TimeUtil;
using Scopes = std::vector<graph::v1::TokenScope>;

namespace {

constexpr auto kRead = graph::v1::TOKEN_SCOPE_READ, kWrite = graph::v1::TOKEN_SCOPE_WRITE,
               kManage = graph::v1::TOKEN_SCOPE_MANAGE, kAdmin = graph::v1::TOKEN_SCOPE_ADMIN;

graph::v1::CreatePersonalTokenRequest Wanted(const Scopes& scopes, std::int64_t life_s = 3600) {
  graph::v1::CreatePersonalTokenRequest request;
  request.set_name("script");
  for (const auto scope : scopes) request.add_scopes(scope);
  *request.mutable_expires_at() = TimeUtil::SecondsToTimestamp(NowMs() / 1000 + life_s);
  return request;
}

graph::v1::IssuedPersonalToken Issue(World& w, const rpc::Caller& user, const Scopes& scopes) {
  graph::v1::IssuedPersonalToken issued;
  REQUIRE(w.tokens.Create(user, Wanted(scopes), issued) == absl::OkStatus());
  return issued;
}

absl::StatusOr<graph::v1::OpenedPersonalToken> Open(World& w, const std::string& secret) {
  graph::v1::OpenedPersonalToken opened;
  const absl::Status status = w.internals.OpenToken(rpc::Caller::Service(), Sha256(AsBytes(secret)), opened);
  if (!status.ok()) return status;
  return opened;
}

Scopes ScopesOf(const google::protobuf::RepeatedField<int>& scopes) {
  Scopes list;
  for (const int scope : scopes) list.push_back(static_cast<graph::v1::TokenScope>(scope));
  return list;
}

std::vector<graph::v1::PersonalToken> List(World& w, const rpc::Caller& user) {
  graph::v1::ListPersonalTokensResponse list;
  REQUIRE(w.tokens.List(user, {}, list) == absl::OkStatus());
  return {list.tokens().begin(), list.tokens().end()};
}

void Run(World& w, const std::string& sql) {
  REQUIRE(w.pool.Transact("sql", [&](pqxx::work& tx) {
    tx.exec(sql);
    return absl::OkStatus();
  }) == absl::OkStatus());
}

std::vector<graph::v1::AuditRecord> Recorded(World& w, const rpc::Caller& user, const std::string& node) {
  graph::v1::ListAuditRecordsResponse audit;
  graph::v1::ListAuditRecordsRequest request;
  request.set_node_id(node);
  REQUIRE(w.nodes.ListAudit(user, request, audit) == absl::OkStatus());
  return {audit.records().begin(), audit.records().end()};
}

rpc::Caller With(rpc::Caller user, rpc::Caller::Reach reach) {
  user.reach = reach;
  return user;
}

}  // namespace

TEST_CASE("a token is shown once, kept as a hash, listed without its secret, and audited", "[A5]") {
  World w;
  const rpc::Caller anna = w.User("anna"), ben = w.User("ben");
  const auto issued = Issue(w, anna, {kWrite});
  CHECK(IsPersonalToken(issued.secret()));
  CHECK(issued.id() == issued.token().id());
  CHECK(ScopesOf(issued.token().scopes()) == Scopes{kRead, kWrite});
  CHECK(w.Count("personal_token WHERE position('" + issued.secret() + "' IN personal_token::text) > 0") == 0);
  CHECK(w.Count("personal_token WHERE token_hash = '\\x" + HexEncode(AsBytes(Sha256(AsBytes(issued.secret())))) +
                "'") == 1);

  const auto listed = List(w, anna);
  REQUIRE(listed.size() == 1);
  CHECK(listed[0].id() == issued.id());
  CHECK(listed[0].name() == "script");
  CHECK(ScopesOf(listed[0].scopes()) == Scopes{kRead, kWrite});
  CHECK(listed[0].expires_at() == issued.token().expires_at());
  CHECK_FALSE(listed[0].has_last_used_at());
  CHECK(List(w, ben).empty());

  auto records = Recorded(w, anna, anna.user_id.ToString());
  REQUIRE(!records.empty());
  CHECK(records[0].action() == "token.create");
  CHECK(records[0].details().fields().count("by_token_id") == 0);
  CHECK(records[0].details().fields().at("token_id").string_value() == issued.id());
  CHECK(records[0].DebugString().find(issued.secret()) == std::string::npos);

  CHECK(absl::IsNotFound(w.tokens.Delete(ben, issued.id())));
  CHECK(Violations(w.tokens.Delete(anna, "x")) == "id");
  REQUIRE(w.tokens.Delete(anna, issued.id()) == absl::OkStatus());
  CHECK(absl::IsNotFound(w.tokens.Delete(anna, issued.id())));
  CHECK(List(w, anna).empty());
  CHECK(Recorded(w, anna, anna.user_id.ToString())[0].action() == "token.delete");
}

TEST_CASE("what a token is asked to be is checked", "[A5]") {
  World w;
  const rpc::Caller anna = w.User("anna"), root = w.User("root", true);
  graph::v1::IssuedPersonalToken issued;
  const auto refused = [&](const rpc::Caller& who, const graph::v1::CreatePersonalTokenRequest& request) {
    return Violations(w.tokens.Create(who, request, issued));
  };
  CHECK(refused(anna, {}) == "name scopes expires_at");
  CHECK(refused(anna, Wanted({})) == "scopes");
  CHECK(refused(anna, Wanted({graph::v1::TOKEN_SCOPE_UNSPECIFIED})) == "scopes");
  CHECK(refused(anna, Wanted({static_cast<graph::v1::TokenScope>(31)})) == "scopes");
  CHECK(refused(anna, Wanted({kRead, kAdmin})) == "scopes");
  CHECK(refused(root, Wanted({kAdmin})) == "scopes");
  CHECK(refused(anna, Wanted({kRead}, 0)) == "expires_at");
  CHECK(refused(anna, Wanted({kRead}, -3600)) == "expires_at");
  CHECK(refused(anna, Wanted({kRead}, 366 * 86'400 + 60)) == "expires_at");
  CHECK(w.Count("personal_token") == 0);
  CHECK(w.tokens.Create(anna, Wanted({kRead}, 365 * 86'400), issued) == absl::OkStatus());
  CHECK(w.tokens.Create(root, Wanted({kRead, kAdmin, kRead}), issued) == absl::OkStatus());
  CHECK(ScopesOf(issued.token().scopes()) == Scopes{kRead, kAdmin});
}

TEST_CASE("only a session makes, sees and revokes tokens, or ends sessions", "[A5]") {
  World w;
  const rpc::Caller anna = w.User("anna", true);
  const auto issued = Issue(w, anna, {kManage, kAdmin});
  graph::v1::IssuedPersonalToken another;
  graph::v1::ListPersonalTokensResponse list;
  graph::v1::DeleteSessionRequest session;
  session.set_id(Uuid::New().ToString());
  for (const auto reach : {rpc::Caller::Reach::kRead, rpc::Caller::Reach::kWrite, rpc::Caller::Reach::kManage}) {
    const rpc::Caller token = With(anna, reach);
    CHECK(Reason(w.tokens.Create(token, Wanted({kRead}), another)) == "FORBIDDEN");
    CHECK(Reason(w.tokens.List(token, {}, list)) == "FORBIDDEN");
    CHECK(Reason(w.tokens.Delete(token, issued.id())) == "FORBIDDEN");
    CHECK(Reason(w.accounts.SignOut(token, session)) == "FORBIDDEN");
  }
  CHECK(Reason(w.tokens.Create({}, Wanted({kRead}), another)) == "UNAUTHENTICATED");
  CHECK(Reason(w.tokens.List({}, {}, list)) == "UNAUTHENTICATED");
  CHECK(Reason(w.tokens.Delete({}, issued.id())) == "UNAUTHENTICATED");
  CHECK(w.Count("personal_token") == 1);
}

TEST_CASE("a token is opened by services, with the scopes that hold now, until it is revoked or expires", "[A5]") {
  World w;
  const rpc::Caller anna = w.User("anna"), root = w.User("root", true);
  const auto issued = Issue(w, anna, {kManage}), admin = Issue(w, root, {kRead, kAdmin});
  const auto opened = Open(w, issued.secret());
  REQUIRE(opened.status() == absl::OkStatus());
  CHECK(opened->token_id() == issued.id());
  CHECK(opened->user_id() == anna.user_id.ToString());
  CHECK(ScopesOf(opened->scopes()) == Scopes{kRead, kWrite, kManage});
  CHECK(opened->expires_at_ms() == TimeUtil::TimestampToMilliseconds(issued.token().expires_at()));
  CHECK(ScopesOf(Open(w, admin.secret())->scopes()) == Scopes{kRead, kAdmin});
  Run(w, "UPDATE account SET administrator = false");
  CHECK(ScopesOf(Open(w, admin.secret())->scopes()) == Scopes{kRead});

  CHECK(absl::IsNotFound(Open(w, NewPersonalToken()).status()));
  graph::v1::OpenedPersonalToken out;
  CHECK(Reason(w.internals.OpenToken(anna, Sha256(AsBytes(issued.secret())), out)) == "FORBIDDEN");
  CHECK(Violations(w.internals.OpenToken(rpc::Caller::Service(), "short", out)) == "sha256");

  Run(w, "UPDATE personal_token SET expires_at = now() WHERE id = '" + admin.id() + "'");
  CHECK(absl::IsNotFound(Open(w, admin.secret()).status()));
  REQUIRE(w.tokens.Delete(anna, issued.id()).ok());
  CHECK(absl::IsNotFound(Open(w, issued.secret()).status()));
}

TEST_CASE("when a token was used is noted at most once a minute", "[A5]") {
  World w;
  const rpc::Caller anna = w.User("anna");
  const auto issued = Issue(w, anna, {kRead});
  REQUIRE(Open(w, issued.secret()).ok());
  REQUIRE(List(w, anna)[0].has_last_used_at());
  Run(w, "UPDATE personal_token SET last_used_at = now() - interval '50 s'");
  const auto before = List(w, anna)[0].last_used_at();
  REQUIRE(Open(w, issued.secret()).ok());
  CHECK(List(w, anna)[0].last_used_at() == before);
  Run(w, "UPDATE personal_token SET last_used_at = now() - interval '61 s'");
  REQUIRE(Open(w, issued.secret()).ok());
  CHECK(List(w, anna)[0].last_used_at() > before);
}

TEST_CASE("a user has fifty living tokens at most", "[A5]") {
  World w;
  const rpc::Caller anna = w.User("anna"), ben = w.User("ben");
  for (int i = 0; i < 50; ++i) Issue(w, anna, {kRead});
  graph::v1::IssuedPersonalToken issued;
  CHECK(Reason(w.tokens.Create(anna, Wanted({kRead}), issued)) == "LIMIT");
  Issue(w, ben, {kRead});
  graph::v1::ListPersonalTokensRequest request;
  request.set_page_size(30);
  graph::v1::ListPersonalTokensResponse first, second;
  REQUIRE(w.tokens.List(anna, request, first).ok());
  CHECK(first.tokens_size() == 30);
  request.set_cursor(first.next_cursor());
  CHECK(Reason(w.tokens.List(ben, request, second)) == "INVALID_CURSOR");
  REQUIRE(w.tokens.List(anna, request, second).ok());
  CHECK(second.tokens_size() == 20);
  CHECK(second.next_cursor().empty());
  // Expired ones make room.
  Run(w, "UPDATE personal_token SET expires_at = now() WHERE id = '" + first.tokens(0).id() + "'");
  Issue(w, anna, {kRead});
  CHECK(w.Count("personal_token WHERE user_id = '" + anna.user_id.ToString() + "'") == 50);
}

TEST_CASE("each scope does its kind of operations and no other", "[A5]") {
  World w;
  const rpc::Caller root = w.User("root", true), stranger = w.User("stranger");
  const auto repo = w.Repo(root);
  const auto own = w.Unit(root, repo), foreign = w.Unit(stranger, w.Repo(stranger));
  const std::string input = w.Variable(own, "wanted");
  using Reach = rpc::Caller::Reach;
  const auto code = [](const absl::Status& status) { return status.ok() ? "OK" : Reason(status); };
  const auto see = [&](const rpc::Caller& who, const std::string& unit) {
    graph::v1::Unit out;
    return code(w.units.Get(who, unit, out));
  };
  const auto set = [&](const rpc::Caller& who) {
    graph::v1::SetVariableValueRequest request;
    request.set_id(input);
    request.mutable_value()->set_number_value(21);
    graph::v1::SetVariableValueResponse out;
    return code(w.units.SetValue(who, request, out));
  };
  const auto rename = [&](const rpc::Caller& who) {
    graph::v1::UpdateUnitRequest request;
    request.set_id(own.id());
    request.set_name("renamed");
    graph::v1::Unit out;
    return code(w.units.Update(who, request, out));
  };
  const auto create = [&](const rpc::Caller& who) {
    graph::v1::CreateRepoUnitRequest request;
    request.set_name("another");
    request.set_url("https://example.org/another.git");
    graph::v1::RepoUnit out;
    return code(w.repo_units.Create(who, request, out));
  };
  const auto grant = [&](const rpc::Caller& who) {
    graph::v1::PutGrantRequest request;
    request.set_node_id(own.id());
    request.set_subject_id(stranger.user_id.ToString());
    request.set_role(graph::v1::ROLE_OWNER);
    graph::v1::Grant out;
    return code(w.nodes.PutGrant(who, request, out));
  };
  const auto package = [&](const rpc::Caller& who) {
    graph::v1::UnitPackage out;
    return code(w.internals.UnitPackage(who, own.id(), out));
  };
  struct Row {
    Reach reach;
    bool administrator;
    const char *see, *set, *manage, *foreign;
  };
  const Row rows[] = {
      {Reach::kAll, true, "OK", "OK", "OK", "OK"},
      {Reach::kAll, false, "OK", "OK", "OK", "NOT_FOUND"},
      {Reach::kRead, false, "OK", "FORBIDDEN", "FORBIDDEN", "NOT_FOUND"},
      {Reach::kWrite, false, "OK", "OK", "FORBIDDEN", "NOT_FOUND"},
      {Reach::kManage, false, "OK", "OK", "OK", "NOT_FOUND"},
      {Reach::kRead, true, "OK", "FORBIDDEN", "FORBIDDEN", "OK"},
      {Reach::kManage, true, "OK", "OK", "OK", "OK"},
  };
  for (const Row& row : rows) {
    CAPTURE(static_cast<int>(row.reach), row.administrator);
    rpc::Caller who = With(root, row.reach);
    who.administrator = row.administrator;
    CHECK(see(who, own.id()) == row.see);
    CHECK(see(who, foreign.id()) == row.foreign);
    CHECK(set(who) == row.set);
    CHECK(rename(who) == row.manage);
    CHECK(create(who) == row.manage);
    CHECK(grant(who) == row.manage);
    CHECK(package(who) == row.manage);
  }
  CHECK(Recorded(w, root, own.id())[0].details().fields().at("by_token_id").string_value() ==
        root.session_id.ToString());
  // Deletion last; what may not be deleted is still there.
  for (const auto reach : {Reach::kRead, Reach::kWrite}) {
    CHECK(code(w.units.Delete(With(root, reach), own.id())) == "FORBIDDEN");
  }
  CHECK(code(w.units.Delete(With(root, Reach::kManage), own.id())) == "OK");
}
