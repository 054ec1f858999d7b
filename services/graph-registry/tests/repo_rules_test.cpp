#include <catch2/catch.hpp>
#include <functional>

#include "world.h"

// The rules of R1 to R11 as tables: what each field takes, and who may do what when.
using namespace pepeunit;
using namespace pepeunit::graph_registry;
using namespace pepeunit::common::v1;

namespace {

graph::v1::CreateRepoUnitRequest Good() {
  graph::v1::CreateRepoUnitRequest request;
  request.set_name("firmware");
  request.set_url("https://example.org/a.git");
  return request;
}

void Credentials(graph::v1::RepoCredentials* credentials, const std::string& username = "anna",
                 const std::string& password = "open sesame") {
  credentials->set_username(username);
  credentials->set_password(password);
}

// A repository of Anna's that asks for credentials.
struct Private : World {
  rpc::Caller anna = User("anna"), berta = User("berta");
  graph::v1::RepoUnit repo;

  Private() {
    auto request = Good();
    request.set_private_(true);
    Credentials(request.mutable_credentials());
    REQUIRE(repo_units.Create(anna, request, repo) == absl::OkStatus());
  }
};

}  // namespace

TEST_CASE("what the form of a new repository takes", "[R1][R4][R9]") {
  World w;
  const rpc::Caller anna = w.User("anna");
  using Edit = std::function<void(graph::v1::CreateRepoUnitRequest*)>;
  const struct {
    const char* what;
    const char* refused;  // the fields; "" when it is taken
    Edit edit;
  } rows[] = {{"as it is", "", [](auto*) {}},
              {"no name", "name", [](auto* r) { r->clear_name(); }},
              {"a name of white space", "name", [](auto* r) { r->set_name(" \t\n"); }},
              {"128 characters", "", [](auto* r) { r->set_name(std::string(128, 'x')); }},
              {"128 characters of 4 bytes", "",
               [](auto* r) {
                 std::string name;
                 for (int i = 0; i < 128; ++i) name += "🌡";
                 r->set_name(name);
               }},
              {"129 characters", "name", [](auto* r) { r->set_name(std::string(129, 'x')); }},
              {"a control character", "name", [](auto* r) { r->set_name("a\x01"); }},
              {"a NUL", "name", [](auto* r) { r->set_name(std::string("a\0b", 3)); }},
              {"a C1 control character", "name", [](auto* r) { r->set_name("a\xC2\x85z"); }},
              {"no UTF-8", "name", [](auto* r) { r->set_name("a\xFFz"); }},
              {"an address of 2048", "", [](auto* r) { r->set_url("https://a/" + std::string(2038, 'x')); }},
              {"an address of 2049", "url", [](auto* r) { r->set_url("https://a/" + std::string(2039, 'x')); }},
              {"no address", "url", [](auto* r) { r->clear_url(); }},
              {"every level", "", [](auto* r) { r->set_level(ACCESS_LEVEL_PRIVATE); }},
              {"no level", "level", [](auto* r) { r->set_level(static_cast<AccessLevel>(5)); }},
              {"a negative level", "level", [](auto* r) { r->set_level(static_cast<AccessLevel>(-1)); }},
              {"the shortest period", "", [](auto* r) { r->mutable_sync_period()->set_seconds(300); }},
              {"a shorter one", "sync_period", [](auto* r) { r->mutable_sync_period()->set_seconds(299); }},
              {"the longest period", "", [](auto* r) { r->mutable_sync_period()->set_seconds(31'536'000); }},
              {"a longer one", "sync_period", [](auto* r) { r->mutable_sync_period()->set_seconds(31'536'001); }},
              {"none", "sync_period", [](auto* r) { r->mutable_sync_period()->set_seconds(0); }},
              {"a negative one", "sync_period", [](auto* r) { r->mutable_sync_period()->set_seconds(-86'400); }},
              {"parts of a second", "sync_period",
               [](auto* r) {
                 r->mutable_sync_period()->set_seconds(300);
                 r->mutable_sync_period()->set_nanos(1);
               }},
              {"by hand only", "", [](auto* r) { r->set_no_automatic_sync(true); }},
              {"by hand only and by time", "sync_period",
               [](auto* r) {
                 r->set_no_automatic_sync(true);
                 r->mutable_sync_period()->set_seconds(600);
               }},
              {"private without credentials", "credentials", [](auto* r) { r->set_private_(true); }},
              {"credentials of a public one", "private", [](auto* r) { Credentials(r->mutable_credentials()); }},
              {"private with credentials", "",
               [](auto* r) {
                 r->set_private_(true);
                 Credentials(r->mutable_credentials());
               }},
              {"a token alone", "",
               [](auto* r) {
                 r->set_private_(true);
                 Credentials(r->mutable_credentials(), "", std::string(4096, 't'));
               }},
              {"no password", "credentials.password",
               [](auto* r) {
                 r->set_private_(true);
                 Credentials(r->mutable_credentials(), "anna", "");
               }},
              {"long credentials", "credentials.username credentials.password",
               [](auto* r) {
                 r->set_private_(true);
                 Credentials(r->mutable_credentials(), std::string(257, 'u'), std::string(4097, 'p'));
               }},
              {"credentials that are no header", "credentials.username credentials.password",
               [](auto* r) {
                 r->set_private_(true);
                 Credentials(r->mutable_credentials(), "anna\r\nHost: x", "secret\r\n");
               }},
              {"a name with a colon", "credentials.username", [](auto* r) {
                 r->set_private_(true);
                 Credentials(r->mutable_credentials(), "anna:x");
               }}};
  for (const auto& row : rows) {
    INFO(row.what);
    auto request = Good();
    row.edit(&request);
    const std::int64_t before = w.Count("repo_unit");
    graph::v1::RepoUnit repo;
    const absl::Status status = w.repo_units.Create(anna, request, repo);
    INFO(status);
    CHECK(Violations(status) == row.refused);
    CHECK(status.ok() == (*row.refused == '\0'));
    CHECK(w.Count("repo_unit") == before + (status.ok() ? 1 : 0));
    CHECK(status.ToString().find("secret") == std::string::npos);
  }
}

TEST_CASE("what the settings of a repository take", "[R8][R9][R4]") {
  Private w;
  graph::v1::RepoUnit open;
  REQUIRE(w.repo_units.Create(w.anna, Good(), open).ok());
  using Edit = std::function<void(graph::v1::UpdateRepoUnitRequest*)>;
  const struct {
    const char* what;
    const char* refused;
    Edit edit;
    bool is_private = false;
  } rows[] = {
      {"nothing", "", [](auto*) {}},
      {"an empty name", "name", [](auto* r) { r->set_name(""); }},
      {"a long name", "name", [](auto* r) { r->set_name(std::string(129, 'x')); }},
      {"no level", "level", [](auto* r) { r->set_level(static_cast<AccessLevel>(9)); }},
      {"a short period", "sync_period", [](auto* r) { r->mutable_sync_period()->set_seconds(1); }},
      {"parts of a second", "sync_period",
       [](auto* r) {
         r->mutable_sync_period()->set_seconds(600);
         r->mutable_sync_period()->set_nanos(500'000'000);
       }},
      {"by hand only and by time", "sync_period",
       [](auto* r) {
         r->set_no_automatic_sync(true);
         r->mutable_sync_period()->set_seconds(600);
       }},
      {"by time again", "",
       [](auto* r) {
         r->set_no_automatic_sync(false);
         r->mutable_sync_period()->set_seconds(600);
       }},
      {"credentials of a public one", "credentials", [](auto* r) { Credentials(r->mutable_credentials()); }},
      {"no password", "credentials.password", [](auto* r) { Credentials(r->mutable_credentials(), "anna", ""); }, true},
      {"other credentials", "", [](auto* r) { Credentials(r->mutable_credentials(), "", "token"); }, true},
      {"a branch that is not there", "default_branch", [](auto* r) { r->set_default_branch("gone"); }},
      {"no branch", "default_branch", [](auto* r) { r->set_default_branch(""); }},
      {"a long branch", "default_branch", [](auto* r) { r->set_default_branch(std::string(256, 'b')); }},
      {"a branch that is there", "", [](auto* r) { r->set_default_branch("main"); }}};
  for (const auto& row : rows) {
    INFO(row.what);
    const std::string id = row.is_private ? w.repo.id() : open.id();
    graph::v1::UpdateRepoUnitRequest request;
    request.set_id(id);
    row.edit(&request);
    graph::v1::RepoUnit before, after;
    REQUIRE(w.repo_units.Get(w.anna, id, before).ok());
    const absl::Status status = w.repo_units.Update(w.anna, request, after);
    INFO(status);
    CHECK(Violations(status) == row.refused);
    CHECK(status.ok() == (*row.refused == '\0'));
    REQUIRE(w.repo_units.Get(w.anna, id, after).ok());
    if (!status.ok()) CHECK(after.SerializeAsString() == before.SerializeAsString());
    CHECK(after.url() == before.url());
    CHECK(after.private_() == before.private_());
  }
  // What never changes cannot even be sent: the gateway refuses fields that are not there by their name.
  for (const char* fixed : {"url", "private", "owner_id"})
    CHECK(graph::v1::UpdateRepoUnitRequest::descriptor()->FindFieldByName(fixed) == nullptr);
}

TEST_CASE("credentials come out nowhere", "[R4]") {
  Private w;
  graph::v1::UpdateRepoUnitRequest update;
  update.set_id(w.repo.id());
  Credentials(update.mutable_credentials(), "anna-the-second", "another sesame");
  REQUIRE(w.repo_units.Update(w.anna, update, w.repo) == absl::OkStatus());
  graph::v1::ListRepoUnitsResponse list;
  REQUIRE(w.repo_units.List(w.anna, {}, list).ok());
  graph::v1::ListAuditRecordsRequest request;
  request.set_node_id(w.repo.id());
  graph::v1::ListAuditRecordsResponse audit;
  REQUIRE(w.nodes.ListAudit(w.anna, request, audit).ok());
  CHECK(audit.records_size() == 2);
  graph::v1::Node node;
  REQUIRE(w.nodes.Get(w.anna, w.repo.id(), node).ok());
  const std::string told = w.repo.DebugString() + list.DebugString() + audit.DebugString() + node.DebugString();
  for (const char* secret : {"sesame", "anna-the-second"}) CHECK(told.find(secret) == std::string::npos);
}

TEST_CASE("who may do what with a repository", "[R1][R6][R7][R9][R10]") {
  World w;
  const rpc::Caller anna = w.User("anna"), berta = w.User("berta"), carla = w.User("carla");
  const auto repo = w.Repo(anna, ACCESS_LEVEL_PUBLIC, false);
  const auto let = [&](graph::v1::Role role) {
    graph::v1::PutGrantRequest request;
    request.set_node_id(repo.id());
    request.set_subject_id(berta.user_id.ToString());
    request.set_role(role);
    graph::v1::Grant grant;
    REQUIRE(w.nodes.PutGrant(anna, request, grant).ok());
  };
  graph::v1::RepoUnit out;
  graph::v1::UpdateRepoUnitRequest rename;
  rename.set_id(repo.id());
  rename.set_name("renamed");
  const auto sync = [&](const rpc::Caller& who) { return w.repo_units.Sync(who, repo.id(), out); };
  const auto update = [&](const rpc::Caller& who) { return w.repo_units.Update(who, rename, out); };
  const auto remove = [&](const rpc::Caller& who) { return w.repo_units.Delete(who, repo.id()); };
  for (const auto role : {graph::v1::ROLE_READER, graph::v1::ROLE_WRITER}) {
    let(role);
    CHECK(Reason(sync(berta)) == "FORBIDDEN");
    CHECK(Reason(update(berta)) == "FORBIDDEN");
  }
  let(graph::v1::ROLE_MAINTAINER);
  CHECK(sync(berta).ok());
  CHECK(update(berta).ok());
  CHECK(Reason(remove(berta)) == "FORBIDDEN");
  CHECK(Reason(sync(carla)) == "FORBIDDEN");
  CHECK(Reason(remove({})) == "UNAUTHENTICATED");
  CHECK(sync(anna).ok());  // its creator, always

  // Anybody who sees it makes units of it, once it is configured.
  graph::v1::CreateUnitRequest make;
  make.set_repo_unit_id(repo.id());
  make.set_name("unit");
  graph::v1::Unit unit;
  for (const bool pinned : {false, true}) {
    if (pinned) make.mutable_pin()->set_branch("main");
    CHECK(Reason(w.units.Create(carla, make, unit)) == "NOT_CONFIGURED");
    CHECK(Reason(w.units.Create(anna, make, unit)) == "NOT_CONFIGURED");
  }
  rename.set_default_branch("main");
  REQUIRE(update(anna).ok());
  CHECK(w.units.Create(carla, make, unit).ok());
}

TEST_CASE("who deletes a repository is told how many units hang on it, of hidden ones only that", "[R10][A4]") {
  World w;
  const rpc::Caller anna = w.User("anna"), berta = w.User("berta");
  const auto repo = w.Repo(anna);
  const auto message = [&] {
    const absl::Status status = w.repo_units.Delete(anna, repo.id());
    CHECK(Reason(status) == "IN_USE");
    return std::string(status.message());
  };
  const auto own = w.Unit(anna, repo);
  CHECK(message().starts_with("1 unit is made from this repository; "));
  const auto seen = w.Unit(berta, repo, ACCESS_LEVEL_INSTANCE);
  CHECK(message().starts_with("2 units are made from this repository; "));
  const auto hidden = w.Unit(berta, repo);
  const std::string told = message();
  CHECK(told.starts_with("3 units are made from this repository, 1 of them by others, which you may not see; "));
  CHECK(told.find(hidden.id()) == std::string::npos);
  const rpc::Caller root = w.User("root", true);
  for (const auto& unit : {own, seen, hidden}) REQUIRE(w.units.Delete(root, unit.id()).ok());
  CHECK(w.repo_units.Delete(anna, repo.id()) == absl::OkStatus());
}

TEST_CASE("the operator's repositories are offered to everybody, as they were named", "[R11]") {
  World w;
  graph::v1::StandardRepository one, two;
  one.set_name("thermostat");
  one.set_url("https://example.org/thermostat.git");
  two.set_name("display");
  two.set_url("https://example.org/display.git");
  RepoUnits offering(w.store, w.secrets, w.versions, {one, two});
  graph::v1::ListStandardRepositoriesResponse list;
  REQUIRE(offering.ListStandard(list).ok());
  REQUIRE(list.repositories_size() == 2);
  CHECK(list.repositories(1).name() == "display");
  // One of them is added as any other, by any user.
  graph::v1::CreateRepoUnitRequest request;
  request.set_name(list.repositories(0).name());
  request.set_url(list.repositories(0).url());
  graph::v1::RepoUnit repo;
  CHECK(offering.Create(w.User("anna"), request, repo).ok());
}

TEST_CASE("a sync is asked for by hand also where none is automatic", "[R6][R9]") {
  World w;
  const rpc::Caller anna = w.User("anna");
  auto request = Good();
  request.set_no_automatic_sync(true);
  graph::v1::RepoUnit repo;
  REQUIRE(w.repo_units.Create(anna, request, repo).ok());
  CHECK(w.Events().at(0).repo_unit_changed().sync_period_s() == 0);
  const std::string id = repo.id();
  REQUIRE(w.repo_units.Sync(anna, id, repo).ok());
  const auto event = w.Events().at(0).repo_unit_changed();
  CHECK(event.sync_period_s() == 0);
  CHECK(event.sync_requests() == 2);
}
