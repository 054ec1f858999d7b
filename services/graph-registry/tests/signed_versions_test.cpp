#include "fleet.h"

// A repository with signing keys: what is not signed by one of them goes nowhere.
using namespace pepeunit;
using namespace pepeunit::graph_registry;
using namespace pepeunit::graph::v1;

namespace {

const std::string kAda = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ada";
const std::string kEve = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP/+/fz7+vn49/b19PPy8fDv7u3s6+rp6Ofm5eTj4uHg eve";

struct Signed : Fleet {
  explicit Signed(int count) : Fleet(count) { Ask({kAda}); }

  void Ask(const std::vector<std::string>& keys) { REQUIRE(Update(keys) == absl::OkStatus()); }
  absl::Status Update(const std::vector<std::string>& keys) {
    UpdateRepoUnitRequest update;
    update.set_id(repo.id());
    update.mutable_signing_keys();
    for (const auto& key : keys) update.mutable_signing_keys()->add_keys(key);
    return repo_units.Update(anna, update, repo);
  }
  FollowProblem Problem() {
    const auto unit = store.GetUnit(*Uuid::Parse(all[0].id()));
    REQUIRE(unit.ok());
    return unit->follow_problem();
  }
};

const std::string kWhy =
    "The repository asks for versions that one of its `signing_keys` has signed, and commit bbbbbbbbbbbb is not "
    "signed: "
    "sign the commit, or an annotated tag of it, with an SSH key of the list.";

}  // namespace

TEST_CASE("units that follow stay until the version is signed, and say why", "[U9]") {
  Signed w(2);
  w.Sync();
  CHECK(w.At(kFrom).size() == 2);
  CHECK(w.Problem().reason() == FOLLOW_PROBLEM_REASON_UNSIGNED);
  CHECK(w.Problem().commit() == kTo);
  CHECK(w.Problem().detail() == kWhy);
  FollowPreview preview;
  PreviewFollowRequest ask;
  ask.set_id(w.repo.id());
  REQUIRE(w.followers.Preview(w.anna, ask, preview) == absl::OkStatus());
  CHECK(preview.problem().reason() == FOLLOW_PROBLEM_REASON_UNSIGNED);
  w.versions.is_signed.insert(kTo);
  w.Sync();
  CHECK(w.At(kTo).size() == 2);
  CHECK(w.Problem().reason() == FOLLOW_PROBLEM_REASON_UNSPECIFIED);
}

TEST_CASE("keys that are taken away let units follow with the sync that this asks for", "[U9]") {
  Signed w(1);
  w.Sync();
  CHECK(w.At(kFrom).size() == 1);
  w.Events();
  w.Ask({});
  CHECK_FALSE(w.repo.has_signing_keys());
  CHECK(w.Events().back().repo_unit_changed().sync_requests() > 0);
  w.Sync();
  CHECK(w.At(kTo).size() == 1);
}

TEST_CASE("no unit is made from, or moved to, a version that is not signed", "[U9][U13]") {
  Signed w(1);
  CreateUnitRequest create;
  create.set_repo_unit_id(w.repo.id());
  create.set_name("unit");
  graph::v1::Unit made;
  const auto refused = w.units.Create(w.anna, create, made);
  CHECK(Reason(refused) == "UNSIGNED_VERSION");
  CHECK(refused.message() == kWhy);
  create.mutable_pin()->set_commit(kTo);
  CHECK(Reason(w.units.Create(w.anna, create, made)) == "UNSIGNED_VERSION");

  MoveUnitRequest move;
  move.set_id(w.all[0].id());
  move.mutable_pin()->set_branch("main");
  UnitMove moved;
  CHECK(Reason(w.units.Move(w.anna, move, moved)) == "UNSIGNED_VERSION");
  move.set_preview(true);
  CHECK(Reason(w.units.Move(w.anna, move, moved)) == "UNSIGNED_VERSION");
  Rollout rollout;
  CHECK(Reason(w.rollouts.Create(w.anna, w.Request({100}), rollout)) == "UNSIGNED_VERSION");
  w.versions.is_signed.insert(kTo);
  CHECK(w.units.Create(w.anna, create, made) == absl::OkStatus());
  move.set_preview(false);
  CHECK(w.units.Move(w.anna, move, moved) == absl::OkStatus());
}

TEST_CASE("a rollout on the way stops when its version counts as unsigned", "[U9]") {
  Fleet w(2);
  const Rollout made = w.Begin({50, 100});
  w.Go();
  REQUIRE(w.At(kTo).size() == 1);
  w.Runs(w.At(kTo)[0], kTo);
  UpdateRepoUnitRequest update;
  update.set_id(w.repo.id());
  update.mutable_signing_keys()->add_keys(kAda);
  REQUIRE(w.repo_units.Update(w.anna, update, w.repo) == absl::OkStatus());
  w.Go();
  CHECK(w.At(kTo).size() == 1);
  const Rollout now = w.Now(made);
  CHECK(now.phases(1).failed() == 1);
}

TEST_CASE("signing keys are checked, kept as ssh-keygen writes them, and told to those who show commits", "[U9]") {
  Signed w(0);
  REQUIRE(w.repo.signing_keys().keys_size() == 1);
  CHECK(w.repo.signing_keys().keys(0) == kAda);
  AuthorizeRequest ask;
  ask.set_node_id(w.repo.id());
  ask.set_permission(PERMISSION_READ);
  AuthorizeResponse answer;
  REQUIRE(w.internals.Authorize(w.anna, ask, answer) == absl::OkStatus());
  REQUIRE(answer.signing_keys_size() == 1);
  CHECK(answer.signing_keys(0) == kAda);

  w.Ask({"  " + kEve + " \n", kAda});
  CHECK(w.repo.signing_keys().keys(0) == kEve);
  CHECK(Violations(w.Update({kAda, "ssh-dss AAAA"})) == "signing_keys.keys[1]");
  CHECK(Violations(w.Update({kAda, kAda})) == "signing_keys.keys[1]");
  CHECK(Violations(w.Update({""})) == "signing_keys.keys[0]");
  CHECK(Violations(w.Update({kAda + "\n" + kEve})) == "signing_keys.keys[0]");
  CHECK(Violations(w.Update({"-----BEGIN OPENSSH PRIVATE KEY-----"})) == "signing_keys.keys[0]");
  CHECK(Violations(w.Update(std::vector<std::string>(21, kAda))) == "signing_keys.keys");
  CHECK(w.repo.signing_keys().keys_size() == 2);

  // Who may not change the repository cannot change them.
  UpdateRepoUnitRequest update;
  update.set_id(w.repo.id());
  update.mutable_signing_keys();
  CHECK(absl::IsPermissionDenied(w.repo_units.Update(w.berta, update, w.repo)));

  CreateRepoUnitRequest create;
  create.set_name("signed");
  create.set_url("https://example.org/signed.git");
  create.mutable_signing_keys()->add_keys(kEve);
  RepoUnit made;
  REQUIRE(w.repo_units.Create(w.anna, create, made) == absl::OkStatus());
  CHECK(made.signing_keys().keys(0) == kEve);
  create.mutable_signing_keys()->add_keys("x");
  CHECK(Violations(w.repo_units.Create(w.anna, create, made)) == "signing_keys.keys[1]");
}
