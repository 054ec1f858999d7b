#include <catch2/catch.hpp>

#include "pepeunit/base/errors.h"
#include "remote.h"
#include "repositories.h"

using namespace pepeunit;
using namespace pepeunit::repo_sync;

namespace {

const Uuid kId = *Uuid::Parse(Remote::kName);
const std::string kOther = "0190a5d6-0000-7000-8000-000000000002";

struct NoStore final : RepositoryStore {
  absl::Status Upsert(const Wanted&) override { return {}; }
  absl::Status Delete(const Uuid&) override { return {}; }
  absl::StatusOr<std::vector<Uuid>> ListIds() override { return std::vector<Uuid>(); }
  absl::StatusOr<std::vector<Uuid>> ListSynced() override { return std::vector<Uuid>(); }
  absl::Status MarkMissing(const Uuid&) override { return {}; }
  absl::StatusOr<std::optional<CopyState>> Get(const Uuid&) override {
    return CopyState{.failed = true, .running = false, .error = "The host x is not known.", .remote_head = ""};
  }
  absl::StatusOr<std::optional<Taken>> TakeDue(std::chrono::seconds) override { return std::nullopt; }
  absl::StatusOr<bool> Renew(const Taken&, std::chrono::seconds) override { return true; }
  absl::StatusOr<bool> Finish(const Taken&, const SyncResult&) override { return true; }
  absl::Status Release(const Taken&) override { return {}; }
  absl::Status Tell(const Taken&, const Progress&) override { return {}; }
  absl::StatusOr<std::vector<KeptRecord>> ListSyncs(const Uuid&, std::int64_t before, int limit) override {
    std::vector<KeptRecord> kept;
    for (std::int64_t id = before == 0 ? 5 : before - 1; id > 0 && kept.size() < static_cast<std::size_t>(limit);
         --id) {
      kept.emplace_back().id = id;
      kept.back().record.set_received_bytes(id);
    }
    return kept;
  }
  absl::StatusOr<repo::v1::RefChecks> GetChecks(const Uuid&) override { return checks; }
  repo::v1::RefChecks checks;
};

struct UsersOnly final : Rights {
  absl::StatusOr<SigningKeys> MayRead(const rpc::Caller& caller, const Uuid&) override {
    if (!caller.signed_in()) return NotFound("repo_unit");
    return keys;
  }
  SigningKeys keys;
};

struct Fixture {
  Remote remote;
  NoStore store;
  UsersOnly rights;
  Copies copies{remote.copies()};
  Repositories repositories{copies, store, rights};
  std::string first, second, third;
  rpc::Context user, service;

  Fixture() {
    user.caller.kind = rpc::Caller::Kind::kUser;
    service.caller = rpc::Caller::Service();
    remote.Write("schema.json", "{}");
    remote.Write("src/main.py", "print(1)\n");
    remote.Write("src-x", "");
    remote.Write("run.sh", "#!/bin/sh\n");
    Output("chmod +x " + remote.work() + "/run.sh; ln -s run.sh " + remote.work() + "/link");
    first = remote.Commit("first");
    remote.Git("tag v1");
    remote.Git("tag -a alpha -m x");
    remote.Git("branch old");
    remote.Git("update-ref refs/heads/$(printf 'not-\\377-text') HEAD");
    remote.Git("update-ref refs/tags/$(printf 'not-\\377-text') HEAD");
    remote.Write("big.bin", std::string(150'000, 'x'));
    second = remote.Commit("second");
    third = remote.Commit("third");
    remote.Push();
    if (RunJob(remote.Job()).error != "") throw std::runtime_error("no copy");
  }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "branches and tags by name, with the commits they name", "[R2]") {
  repo::v1::ListBranchesRequest request;
  repo::v1::ListBranchesResponse out;
  request.set_repo_unit_id(Remote::kName);
  REQUIRE(repositories.Branches(user, request, out).ok());
  REQUIRE(out.branches_size() == 2);
  CHECK(out.branches(0).name() == "main");
  CHECK(out.branches(0).commit() == third);
  CHECK(out.branches(0).remote_head());
  CHECK_FALSE(out.branches(1).remote_head());
  repo::v1::ListTagsRequest tags_request;
  repo::v1::ListTagsResponse tags;
  tags_request.set_repo_unit_id(Remote::kName);
  REQUIRE(repositories.Tags(user, tags_request, tags).ok());
  REQUIRE(tags.tags_size() == 2);
  CHECK(tags.tags(0).name() == "alpha");
  CHECK(tags.tags(0).commit() == first);
  CHECK(absl::IsNotFound(repositories.Branches(rpc::Context(), request, out)));
  request.set_repo_unit_id("x");
  CHECK(InfoOf(repositories.Branches(user, request, out)).reason == "INVALID_FIELD");
  request.set_repo_unit_id(kOther);
  const auto missing = repositories.Branches(user, request, out);
  CHECK(InfoOf(missing).reason == "REPOSITORY_NOT_READY");
  CHECK(std::string(missing.message()).find("The host x is not known.") != std::string::npos);
}

TEST_CASE_METHOD(Fixture, "branches and tags show what is wrong at them, as long as they are what was looked at",
                 "[R3]") {
  const auto add = [&](const std::string& ref, const std::string& commit) {
    auto* check = store.checks.add_checks();
    check->set_ref(ref);
    check->set_commit(commit);
    check->add_problems()->set_file("schema.json");
  };
  add("refs/heads/main", third);
  add("refs/heads/old", third);  // it is elsewhere now
  add("refs/tags/alpha", first);
  repo::v1::ListBranchesRequest branches;
  branches.set_repo_unit_id(Remote::kName);
  repo::v1::ListBranchesResponse out;
  REQUIRE(repositories.Branches(user, branches, out).ok());
  CHECK(out.branches(0).problems_size() == 1);
  CHECK(out.branches(1).problems_size() == 0);
  repo::v1::ListTagsRequest tags;
  tags.set_repo_unit_id(Remote::kName);
  repo::v1::ListTagsResponse told;
  REQUIRE(repositories.Tags(user, tags, told).ok());
  CHECK(told.tags(0).problems_size() == 1);
  CHECK(told.tags(1).problems_size() == 0);
}

TEST_CASE_METHOD(Fixture, "syncs come in pages, newest first", "[R6]") {
  repo::v1::ListSyncsRequest request;
  request.set_repo_unit_id(Remote::kName);
  request.set_page_size(2);
  std::string seen;
  for (int pages = 0; pages < 5; ++pages) {
    repo::v1::ListSyncsResponse page;
    REQUIRE(repositories.Syncs(user, request, page) == absl::OkStatus());
    for (const auto& sync : page.syncs()) seen += std::to_string(sync.received_bytes());
    if (page.next_cursor().empty()) break;
    request.set_cursor(page.next_cursor());
  }
  CHECK(seen == "54321");
  repo::v1::ListSyncsResponse page;
  request.set_cursor("x");
  CHECK(InfoOf(repositories.Syncs(user, request, page)).reason == "INVALID_CURSOR");
  request.set_page_size(101);
  CHECK(InfoOf(repositories.Syncs(user, request, page)).reason == "INVALID_FIELD");
  request.set_page_size(1);
  CHECK(absl::IsNotFound(repositories.Syncs(rpc::Context(), request, page)));
}

TEST_CASE_METHOD(Fixture, "commits come in pages that belong to one list", "[R2]") {
  repo::v1::ListCommitsRequest request;
  request.set_repo_unit_id(Remote::kName);
  request.set_page_size(2);
  repo::v1::ListCommitsResponse page;
  REQUIRE(repositories.Commits(user, request, page).ok());
  REQUIRE(page.commits_size() == 2);
  CHECK(page.commits(0).id() == third);
  CHECK(page.commits(0).summary() == "third");
  CHECK(page.commits(0).author() == "Ada");
  CHECK(page.commits(0).committed_at().seconds() > 1'000'000'000);
  REQUIRE(page.next_cursor() != "");
  remote.Commit("fourth");  // what is new does not shift the pages
  remote.Push();
  REQUIRE(RunJob(remote.Job()).error == "");
  request.set_cursor(page.next_cursor());
  repo::v1::ListCommitsResponse last;
  REQUIRE(repositories.Commits(user, request, last).ok());
  REQUIRE(last.commits_size() == 1);
  CHECK(last.commits(0).id() == first);
  CHECK(last.next_cursor() == "");
  request.set_branch("old");
  CHECK(InfoOf(repositories.Commits(user, request, last)).reason == "INVALID_CURSOR");
  request.set_cursor("nonsense");
  CHECK(InfoOf(repositories.Commits(user, request, last)).reason == "INVALID_CURSOR");
  request.clear_cursor();
  request.set_branch("nope");
  CHECK(absl::IsNotFound(repositories.Commits(user, request, last)));
  request.set_page_size(201);
  CHECK(InfoOf(repositories.Commits(user, request, last)).reason == "INVALID_FIELD");
}

TEST_CASE_METHOD(Fixture, "the newest release is the highest semantic version among the tags", "[U9]") {
  repo::v1::ResolveVersionRequest request;
  request.set_repo_unit_id(Remote::kName);
  request.mutable_newest_release();
  repo::v1::ResolveVersionResponse out;
  CHECK(absl::IsNotFound(repositories.Resolve(service, request, out)));  // `v1` and `alpha` are none
  remote.Git("tag v0.9.0 " + first);
  remote.Git("tag -a 0.10.0 -m x " + second);
  remote.Git("tag v0.11.0-rc.1 " + third);
  remote.Push();
  REQUIRE(RunJob(remote.Job()).error == "");
  REQUIRE(repositories.Resolve(service, request, out) == absl::OkStatus());
  CHECK(out.tag() == "0.10.0");
  CHECK(out.commit() == second);
  request.mutable_newest_release()->set_pre_releases(true);
  REQUIRE(repositories.Resolve(service, request, out) == absl::OkStatus());
  CHECK(out.tag() == "v0.11.0-rc.1");
  CHECK(out.commit() == third);
}

TEST_CASE_METHOD(Fixture, "a version is a branch, a tag or a commit, and has the two files", "[R3]") {
  repo::v1::ResolveVersionRequest request;
  request.set_repo_unit_id(Remote::kName);
  const auto resolve = [&] {
    repo::v1::ResolveVersionResponse out;
    const auto status = repositories.Resolve(service, request, out);
    return status.ok() ? absl::StatusOr<repo::v1::ResolveVersionResponse>(out) : status;
  };
  auto found = resolve();
  REQUIRE(found.ok());
  CHECK(found->commit() == third);
  CHECK(found->branch() == "main");
  CHECK(found->tag() == "");
  CHECK(found->schema_json() == "{}");
  CHECK_FALSE(found->has_env_example_json());
  request.set_tag("v1");
  CHECK(resolve()->commit() == first);
  CHECK(resolve()->tag() == "v1");
  CHECK(resolve()->branch() == "main");
  request.set_branch("old");
  CHECK(resolve()->commit() == first);
  CHECK(resolve()->tag() == "alpha");
  request.set_commit(second);
  CHECK(resolve()->branch() == "main");
  request.set_commit(remote.Git("rev-parse HEAD:src"));  // a tree
  CHECK(absl::IsNotFound(resolve().status()));
  request.set_commit(std::string(40, '0'));
  CHECK(absl::IsNotFound(resolve().status()));
  request.set_commit("main");
  CHECK(InfoOf(resolve().status()).reason == "INVALID_FIELD");
  request.set_branch("../tags/v1");
  CHECK(absl::IsNotFound(resolve().status()));
  repo::v1::ResolveVersionResponse out;
  CHECK(absl::IsPermissionDenied(repositories.Resolve(user, request, out)));
}

TEST_CASE_METHOD(Fixture, "a tree comes in the order of its paths, in pieces, of links the name alone", "[U6]") {
  repo::v1::ReadTreeRequest request;
  request.set_repo_unit_id(Remote::kName);
  request.set_commit(third);
  std::vector<std::string> paths;
  std::string big;
  bool executable = false;
  const auto take = [&](const repo::v1::TreePiece& piece) {
    if (!piece.path().empty()) paths.push_back(piece.path());
    if (piece.path() == "run.sh") executable = piece.executable();
    if (piece.path() == "big.bin") CHECK(piece.size() == 150'000);
    if (!piece.path().empty())
      CHECK(piece.kind() ==
            (piece.path() == "link" ? repo::v1::TREE_ENTRY_KIND_SYMBOLIC_LINK : repo::v1::TREE_ENTRY_KIND_FILE));
    if (piece.path() == "link") CHECK(piece.data().empty());
    if (paths.back() == "big.bin") big += piece.data();
    CHECK(piece.data().size() <= 65536);
    return true;
  };
  REQUIRE(repositories.ReadTree(service, request, take).ok());
  CHECK(paths == std::vector<std::string>{"big.bin", "link", "run.sh", "schema.json", "src-x", "src/main.py"});
  CHECK(big == std::string(150'000, 'x'));
  CHECK(executable);
  CHECK(absl::IsCancelled(repositories.ReadTree(service, request, [](const auto&) { return false; })));
  CHECK(absl::IsPermissionDenied(repositories.ReadTree(user, request, take)));
  request.set_repo_unit_id(kOther);
  CHECK(InfoOf(repositories.ReadTree(service, request, take)).reason == "REPOSITORY_NOT_READY");
}
