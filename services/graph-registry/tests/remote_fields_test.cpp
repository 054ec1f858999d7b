#include <catch2/catch.hpp>

#include "world.h"

using namespace pepeunit;
using namespace pepeunit::graph_registry;

namespace {

const std::string kKey = "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n-----END OPENSSH PRIVATE KEY-----\n";
const std::string kPrint = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU";
const std::string kOtherPrint = "SHA256:57DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU";

graph::v1::CreateRepoUnitRequest Ssh(const std::string& url = "git@example.org:a.git") {
  graph::v1::CreateRepoUnitRequest request;
  request.set_name("firmware");
  request.set_url(url);
  request.set_private_(true);
  request.mutable_credentials()->set_private_key(kKey);
  return request;
}

bus::v1::RepoSynced Synced(const std::string& repo, std::int64_t time_ms, const std::string& pinned,
                           const std::string& shown) {
  bus::v1::RepoSynced synced;
  synced.set_repo_unit_id(repo);
  synced.set_state(bus::v1::SYNC_STATE_FAILED);
  synced.set_time_ms(time_ms);
  synced.set_ssh_host_key(pinned);
  synced.set_shown_ssh_host_key(shown);
  return synced;
}

}  // namespace

TEST_CASE("a remote over SSH is opened by a key or a password, sealed, and never given back", "[R1][R4]") {
  World w;
  const rpc::Caller anna = w.User("anna");
  graph::v1::RepoUnit repo;
  auto request = Ssh();
  request.mutable_credentials()->set_passphrase("open sesame");
  REQUIRE(w.repo_units.Create(anna, request, repo) == absl::OkStatus());
  CHECK(repo.private_());
  CHECK(repo.level() == common::v1::ACCESS_LEVEL_PRIVATE);
  CHECK(repo.url() == "git@example.org:a.git");
  for (const char* secret : {"sesame", "PRIVATE KEY", "c2VjcmV0"})
    CHECK(repo.DebugString().find(secret) == std::string::npos);
  const auto event = w.Events().back().repo_unit_changed();
  CHECK(event.sealed_credentials() == "graph.repo_unit.credentials:" + repo.id() + "|:" + kKey + "|open sesame");

  graph::v1::UpdateRepoUnitRequest update;
  update.set_id(repo.id());
  update.mutable_credentials()->set_password("a word");
  REQUIRE(w.repo_units.Update(anna, update, repo) == absl::OkStatus());
  update.mutable_credentials()->set_username("ada");
  CHECK(Violations(w.repo_units.Update(anna, update, repo)) == "credentials.username");
}

TEST_CASE("what does not fit a remote over SSH, or over HTTP, is told by its field", "[R1][R4]") {
  World w;
  const rpc::Caller anna = w.User("anna");
  struct Case {
    std::function<void(graph::v1::CreateRepoUnitRequest*)> change;
    const char* fields;
  };
  for (const Case& c :
       {Case{[](auto* q) { q->set_private_(false); }, "private"},
        Case{[](auto* q) { q->clear_credentials(), q->set_private_(false); }, "private"},
        Case{[](auto* q) { q->clear_credentials(); }, "credentials"},
        Case{[](auto* q) { q->mutable_credentials()->clear_private_key(); }, "credentials.password"},
        Case{[](auto* q) { q->mutable_credentials()->set_password("x"); }, "credentials.password"},
        Case{[](auto* q) { q->mutable_credentials()->set_username("x"); }, "credentials.username"},
        Case{[](auto* q) { q->mutable_credentials()->set_passphrase(std::string(1025, 'x')); },
             "credentials.passphrase"},
        Case{[](auto* q) { q->mutable_credentials()->set_passphrase("a\nb"); }, "credentials.passphrase"},
        Case{[](auto* q) { q->mutable_credentials()->set_private_key("ssh-ed25519 AAAA"); }, "credentials.private_key"},
        Case{[](auto* q) { q->mutable_credentials()->set_private_key(kKey.substr(0, 50)); }, "credentials.private_key"},
        Case{[](auto* q) { q->mutable_credentials()->set_private_key("x" + kKey); }, "credentials.private_key"},
        Case{[](auto* q) { q->mutable_credentials()->set_private_key(kKey + std::string(1, '\0')); },
             "credentials.private_key"},
        Case{[](auto* q) { q->mutable_credentials()->set_private_key(kKey + std::string(16384, 'x')); },
             "credentials.private_key"},
        Case{[](auto* q) { q->set_ssh_host_key("16:27:ac:a5"); }, "ssh_host_key"},
        Case{[](auto* q) { q->set_url("https://example.org/a.git"), q->set_ssh_host_key(kPrint); },
             "credentials.private_key credentials.password ssh_host_key"},
        Case{[](auto* q) { q->set_url("ssh://git:secret@example.org/a.git"); },
             "url credentials.private_key credentials.password"},
        Case{[](auto* q) { q->set_url("ssh://example.org/a.git"); },
             "url credentials.private_key credentials.password"}}) {
    auto request = Ssh();
    c.change(&request);
    graph::v1::RepoUnit repo;
    const absl::Status status = w.repo_units.Create(anna, request, repo);
    CHECK(Violations(status) == c.fields);
    CHECK(status.ToString().find("secret") == std::string::npos);
    CHECK(status.ToString().find("c2VjcmV0") == std::string::npos);
  }
  CHECK(w.Count("repo_unit") == 0);
}

TEST_CASE("the first host key is pinned, and only the maintainer trusts another one", "[R1][R9]") {
  World w;
  const rpc::Caller anna = w.User("anna"), berta = w.User("berta");
  graph::v1::RepoUnit repo;
  auto request = Ssh("ssh://git@example.org/a.git");
  request.set_level(common::v1::ACCESS_LEVEL_INSTANCE);
  REQUIRE(w.repo_units.Create(anna, request, repo) == absl::OkStatus());
  const std::string id = repo.id();
  CHECK(repo.ssh_host_key() == "");
  CHECK(w.Events().back().repo_unit_changed().ssh_host_key() == "");
  REQUIRE(w.store.ApplyRepoSynced(Synced(id, 1'000, kPrint, kPrint)).ok());
  REQUIRE(w.store.ApplyRepoSynced(Synced(id, 2'000, kPrint, kOtherPrint)).ok());
  REQUIRE(w.repo_units.Get(berta, id, repo).ok());
  CHECK(repo.ssh_host_key() == kPrint);
  CHECK(repo.sync().ssh_host_key() == kOtherPrint);

  graph::v1::UpdateRepoUnitRequest update;
  update.set_id(id);
  update.set_name("renamed");
  REQUIRE(w.repo_units.Update(anna, update, repo).ok());
  CHECK(w.Events().back().repo_unit_changed().sync_requests() == 1);
  update.set_ssh_host_key(kOtherPrint);
  CHECK(Reason(w.repo_units.Update(berta, update, repo)) == "FORBIDDEN");
  REQUIRE(w.repo_units.Update(anna, update, repo) == absl::OkStatus());
  CHECK(repo.ssh_host_key() == kOtherPrint);
  const auto event = w.Events().back().repo_unit_changed();
  CHECK(event.ssh_host_key() == kOtherPrint);
  CHECK(event.sync_requests() == 2);
  graph::v1::ListRepositoriesToKeepResponse keep;
  REQUIRE(w.internals.RepositoriesToKeep(rpc::Caller::Service(), "", keep).ok());
  CHECK(keep.repositories(0).ssh_host_key() == kOtherPrint);
  update.set_ssh_host_key("");
  CHECK(Violations(w.repo_units.Update(anna, update, repo)) == "ssh_host_key");
  // What is told late does not bring the old one back.
  REQUIRE(w.store.ApplyRepoSynced(Synced(id, 3'000, kPrint, kPrint)).ok());
  REQUIRE(w.repo_units.Get(anna, id, repo).ok());
  CHECK(repo.ssh_host_key() == kOtherPrint);
}

TEST_CASE("a host key may be given beforehand", "[R1]") {
  World w;
  const rpc::Caller anna = w.User("anna");
  graph::v1::RepoUnit repo;
  auto request = Ssh();
  request.set_ssh_host_key(kPrint);
  REQUIRE(w.repo_units.Create(anna, request, repo) == absl::OkStatus());
  CHECK(repo.ssh_host_key() == kPrint);
  CHECK(w.Events().back().repo_unit_changed().ssh_host_key() == kPrint);
}
