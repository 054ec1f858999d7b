#include <catch2/catch.hpp>

#include "world.h"

using namespace pepeunit;
using namespace pepeunit::graph_registry;

namespace {

graph::v1::CreateRepoUnitRequest Request(const std::string& url) {
  graph::v1::CreateRepoUnitRequest request;
  request.set_name("firmware");
  request.set_url(url);
  return request;
}

}  // namespace

TEST_CASE("any user adds a repository, public and synced once a day by default", "[R1]") {
  World w;
  const rpc::Caller anna = w.User("anna");
  graph::v1::RepoUnit repo;
  REQUIRE(w.repo_units.Create(anna, Request("https://example.org/a.git"), repo) == absl::OkStatus());
  CHECK(repo.level() == common::v1::ACCESS_LEVEL_PUBLIC);
  CHECK(repo.sync_period().seconds() == 86'400);
  CHECK(repo.sync().state() == bus::v1::SYNC_STATE_PENDING);
  CHECK(repo.owner_id() == anna.user_id.ToString());
  CHECK_FALSE(repo.private_());
  const auto events = w.Events();
  REQUIRE(events.size() == 1);
  CHECK(events[0].repo_unit_changed().repo_unit_id() == repo.id());
  CHECK(events[0].repo_unit_changed().url() == "https://example.org/a.git");
  CHECK(events[0].repo_unit_changed().sync_period_s() == 86'400);
  CHECK(events[0].repo_unit_changed().sync_requests() == 1);

  auto by_hand = Request("http://example.org/b.git");
  by_hand.set_no_automatic_sync(true);
  REQUIRE(w.repo_units.Create(anna, by_hand, repo).ok());
  CHECK_FALSE(repo.has_sync_period());
  CHECK(Reason(w.repo_units.Create({}, by_hand, repo)) == "UNAUTHENTICATED");
}

TEST_CASE("addresses are those of git over HTTP or SSH, name a host and hold no credentials", "[R1][R4]") {
  World w;
  const rpc::Caller anna = w.User("anna");
  graph::v1::RepoUnit repo;
  for (const std::string url :
       {"", "example.org/a.git", "git://example.org/a.git", "file:///etc", "/etc", "https://", "https:///a.git",
        "https://:80/a", "https://user:secret@example.org/a.git", "https://token@example.org/a.git",
        "https://exa mple.org/a", "https://example.org/\n", "https://a\\@b/c", "HTTPS//example.org"}) {
    INFO(url);
    const absl::Status status = w.repo_units.Create(anna, Request(url), repo);
    CHECK(Violations(status) == "url");
    CHECK(std::string(status.message()).find("secret") == std::string::npos);
  }
  CHECK(Violations(w.repo_units.Create(anna, Request("https://a/" + std::string(2048, 'x')), repo)) == "url");
  CHECK(w.repo_units.Create(anna, Request("https://example.org:8443/a@b/c.git"), repo).ok());
}

TEST_CASE("everything wrong with a new repository is told at once", "[R1]") {
  World w;
  graph::v1::CreateRepoUnitRequest request;
  request.set_private_(true);
  request.mutable_sync_period()->set_seconds(1);
  request.set_level(static_cast<common::v1::AccessLevel>(77));
  graph::v1::RepoUnit repo;
  CHECK(Violations(w.repo_units.Create(w.User("anna"), request, repo)) == "name url level credentials sync_period");
  CHECK(w.Count("node WHERE type = 2") == 0);
}

TEST_CASE("credentials are stored sealed, told to repo-sync sealed, and never given back", "[R4]") {
  World w;
  const rpc::Caller anna = w.User("anna");
  auto request = Request("https://example.org/a.git");
  request.set_private_(true);
  request.mutable_credentials()->set_username("anna");
  request.mutable_credentials()->set_password("open sesame");
  graph::v1::RepoUnit repo;
  REQUIRE(w.repo_units.Create(anna, request, repo) == absl::OkStatus());
  CHECK(repo.private_());
  CHECK(repo.DebugString().find("sesame") == std::string::npos);
  const std::string sealed = "graph.repo_unit.credentials:" + repo.id() + "|anna:open sesame";
  CHECK(w.Events().back().repo_unit_changed().sealed_credentials() == sealed);
  graph::v1::ListRepositoriesToKeepResponse keep;
  REQUIRE(w.internals.RepositoriesToKeep(rpc::Caller::Service(), "", keep).ok());
  REQUIRE(keep.repositories_size() == 1);
  CHECK(keep.repositories(0).sealed_credentials() == sealed);
  CHECK(keep.repositories(0).url() == "https://example.org/a.git");

  graph::v1::UpdateRepoUnitRequest update;
  update.set_id(repo.id());
  update.mutable_credentials()->set_password("new one");
  REQUIRE(w.repo_units.Update(anna, update, repo) == absl::OkStatus());
  CHECK(w.Events().back().repo_unit_changed().sealed_credentials() ==
        "graph.repo_unit.credentials:" + repo.id() + "|:new one");
}

TEST_CASE("settings change by the maintainer, the level by the owner, the address never", "[R8][R9]") {
  World w;
  const rpc::Caller anna = w.User("anna"), berta = w.User("berta"), admin = w.User("admin", true);
  const auto made = w.Repo(anna, common::v1::ACCESS_LEVEL_INSTANCE, false);
  graph::v1::RepoUnit repo;
  graph::v1::UpdateRepoUnitRequest update;
  update.set_id(made.id());
  update.set_name(" renamed ");
  update.set_level(common::v1::ACCESS_LEVEL_PRIVATE);
  update.mutable_sync_period()->set_seconds(600);
  CHECK(Reason(w.repo_units.Update(berta, update, repo)) == "FORBIDDEN");
  CHECK(absl::IsNotFound(w.repo_units.Update({}, update, repo)));
  REQUIRE(w.repo_units.Update(admin, update, repo) == absl::OkStatus());
  CHECK(repo.name() == "renamed");
  CHECK(repo.sync_period().seconds() == 600);
  CHECK(repo.url() == made.url());
  CHECK(graph::v1::UpdateRepoUnitRequest::descriptor()->FindFieldByName("url") == nullptr);
  // Private now: unknown to others.
  CHECK(absl::IsNotFound(w.repo_units.Get(berta, made.id(), repo)));
  CHECK(absl::IsNotFound(w.repo_units.Update(berta, update, repo)));

  update.Clear();
  update.set_id(made.id());
  update.set_no_automatic_sync(true);
  REQUIRE(w.repo_units.Update(anna, update, repo).ok());
  CHECK_FALSE(repo.has_sync_period());
  update.set_no_automatic_sync(false);
  REQUIRE(w.repo_units.Update(anna, update, repo).ok());
  CHECK(repo.sync_period().seconds() == 86'400);
  update.mutable_credentials()->set_password("x");
  CHECK(Violations(w.repo_units.Update(anna, update, repo)) == "credentials");
}

TEST_CASE("a default branch must be in the local copy, with files a unit can be made from", "[R3][R7]") {
  World w;
  const rpc::Caller anna = w.User("anna");
  auto repo = w.Repo(anna, common::v1::ACCESS_LEVEL_PUBLIC, false);
  graph::v1::UpdateRepoUnitRequest update;
  update.set_id(repo.id());
  update.set_default_branch("gone");
  CHECK(Violations(w.repo_units.Update(anna, update, repo)) == "default_branch");
  update.set_default_branch("");
  CHECK(Violations(w.repo_units.Update(anna, update, repo)) == "default_branch");

  w.versions.Add("broken", 'b', "{\n\"output_variables\": {\"temp\": {\"type\": \"nunber\"}}}", "{");
  update.set_default_branch("broken");
  absl::Status status = w.repo_units.Update(anna, update, repo);
  CHECK(Reason(status) == "INVALID_REPOSITORY");
  CHECK(status.code() == absl::StatusCode::kFailedPrecondition);
  CHECK(Violations(status).find("schema.json:2 output_variables.temp.type") != std::string::npos);
  CHECK(Violations(status).find("env_example.json") != std::string::npos);

  w.versions.versions["branch:empty"].set_commit(std::string(40, 'c'));
  update.set_default_branch("empty");
  CHECK(Violations(w.repo_units.Update(anna, update, repo)) == "schema.json env_example.json");

  w.versions.status = Error(absl::StatusCode::kFailedPrecondition, "REPOSITORY_NOT_READY", "being cloned");
  update.set_default_branch("main");
  CHECK(Reason(w.repo_units.Update(anna, update, repo)) == "REPOSITORY_NOT_READY");
  w.versions.status = absl::OkStatus();
  REQUIRE(w.repo_units.Update(anna, update, repo).ok());
  CHECK(repo.default_branch() == "main");
}

TEST_CASE("an error about many problems stays small enough to travel", "[R3]") {
  World w;
  const rpc::Caller anna = w.User("anna");
  auto repo = w.Repo(anna, common::v1::ACCESS_LEVEL_PUBLIC, false);
  std::string schema = "{\"output_variables\": {";
  for (int i = 0; i < 400; ++i) {
    schema += (i ? ",\n" : "\n") + std::string("\"variable_with_a_rather_long_name_") + std::to_string(i) +
              "\": {\"type\": \"" + std::string(300, 'x') + "\"}";
  }
  w.versions.Add("broken", 'b', schema + "}}", "{}");
  graph::v1::UpdateRepoUnitRequest update;
  update.set_id(repo.id());
  update.set_default_branch("broken");
  const absl::Status status = w.repo_units.Update(anna, update, repo);
  CHECK(Reason(status) == "INVALID_REPOSITORY");
  CHECK(InfoOf(status).violations.size() == 12);
  CHECK(status.ToString().size() < 6'000);
}

TEST_CASE("If-Match guards a change, and changes without it are both kept", "[R9]") {
  World w;
  rpc::Caller anna = w.User("anna");
  auto repo = w.Repo(anna);
  graph::v1::UpdateRepoUnitRequest update;
  update.set_id(repo.id());
  update.set_name("first");
  anna.if_match = repo.etag();
  REQUIRE(w.repo_units.Update(anna, update, repo) == absl::OkStatus());
  update.set_name("second");
  const absl::Status stale = w.repo_units.Update(anna, update, repo);
  CHECK(Reason(stale) == "VERSION_MISMATCH");
  CHECK(stale.code() == absl::StatusCode::kFailedPrecondition);
  anna.if_match = "nonsense";
  CHECK(Reason(w.repo_units.Update(anna, update, repo)) == "VERSION_MISMATCH");
  anna.if_match = "*";
  CHECK(w.repo_units.Update(anna, update, repo).ok());
  anna.if_match.clear();
  CHECK(w.repo_units.Update(anna, update, repo).ok());

  // A sync changes what is shown, so the etag, but not what If-Match minds.
  anna.if_match = repo.etag();
  bus::v1::RepoSynced synced;
  synced.set_repo_unit_id(repo.id());
  synced.set_state(bus::v1::SYNC_STATE_RUNNING);
  synced.set_time_ms(1'000);
  REQUIRE(w.store.ApplyRepoSynced(synced).ok());
  REQUIRE(w.repo_units.Get(anna, std::string(repo.id()), repo).ok());
  CHECK(repo.etag() != anna.if_match);
  CHECK(w.repo_units.Update(anna, update, repo).ok());
}

TEST_CASE("the maintainer forces a sync", "[R6]") {
  World w;
  const rpc::Caller anna = w.User("anna"), berta = w.User("berta");
  auto repo = w.Repo(anna);
  w.Events();
  const std::string id = repo.id();
  REQUIRE(w.repo_units.Sync(anna, id, repo).ok());
  CHECK(w.Events().back().repo_unit_changed().sync_requests() == 2);
  CHECK(Reason(w.repo_units.Sync(berta, id, repo)) == "FORBIDDEN");
  CHECK(Reason(w.repo_units.Sync({}, id, repo)) == "UNAUTHENTICATED");
  CHECK(w.Events().empty());
}

TEST_CASE("a repository with units stays, one without goes", "[R10]") {
  World w;
  const rpc::Caller anna = w.User("anna"), berta = w.User("berta");
  const auto repo = w.Repo(anna);
  const auto unit = w.Unit(berta, repo);
  CHECK(Reason(w.repo_units.Delete(berta, repo.id())) == "FORBIDDEN");
  CHECK(Reason(w.repo_units.Delete(anna, repo.id())) == "IN_USE");
  REQUIRE(w.units.Delete(berta, unit.id()) == absl::OkStatus());
  w.Events();
  REQUIRE(w.repo_units.Delete(anna, repo.id()) == absl::OkStatus());
  const auto events = w.Events();
  REQUIRE(events.size() == 1);
  CHECK(events[0].repo_unit_changed().deleted());
  CHECK(absl::IsNotFound(w.repo_units.Delete(anna, repo.id())));
  CHECK(w.Count("repo_unit") == 0);
}

TEST_CASE("what repo-sync tells is kept once, in the order of its times", "[R2][R3]") {
  World w;
  const rpc::Caller anna = w.User("anna");
  auto repo = w.Repo(anna);
  const auto apply = [&](bus::v1::SyncState state, std::int64_t time_ms) {
    bus::v1::RepoSynced synced;
    synced.set_repo_unit_id(repo.id());
    synced.set_state(state);
    synced.set_time_ms(time_ms);
    synced.set_remote_head("main");
    synced.set_size_bytes(1234);
    synced.add_problems()->set_file("schema.json");
    if (state == bus::v1::SYNC_STATE_FAILED) synced.set_error("unreachable");
    REQUIRE(w.store.ApplyRepoSynced(synced).ok());
    REQUIRE(w.repo_units.Get(anna, std::string(repo.id()), repo).ok());
    return repo.sync().state();
  };
  CHECK(apply(bus::v1::SYNC_STATE_RUNNING, 1'000) == bus::v1::SYNC_STATE_RUNNING);
  CHECK(apply(bus::v1::SYNC_STATE_READY, 1'000) == bus::v1::SYNC_STATE_READY);
  CHECK(apply(bus::v1::SYNC_STATE_RUNNING, 1'000) == bus::v1::SYNC_STATE_READY);  // delivered again
  CHECK(apply(bus::v1::SYNC_STATE_FAILED, 900) == bus::v1::SYNC_STATE_READY);     // late
  CHECK(repo.sync().remote_head() == "main");
  CHECK(repo.sync().size_bytes() == 1234);
  CHECK(repo.sync().problems_size() == 1);
  CHECK(repo.sync().since().seconds() == 1);
  CHECK(apply(bus::v1::SYNC_STATE_FAILED, 2'000) == bus::v1::SYNC_STATE_FAILED);
  CHECK(repo.sync().error() == "unreachable");
  bus::v1::RepoSynced unknown;
  unknown.set_repo_unit_id(Uuid::New().ToString());
  CHECK(w.store.ApplyRepoSynced(unknown).ok());
}
