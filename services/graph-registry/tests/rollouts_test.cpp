#include "rollouts.h"

#include <catch2/catch.hpp>

#include "fleet.h"

// Rollouts on the real storage: who makes and steers them, and what becomes of the units and of those that follow.
using namespace pepeunit;
using namespace pepeunit::graph_registry;
using namespace pepeunit::graph::v1;

TEST_CASE("a rollout moves its units phase by phase, each after the one before succeeded", "[U9][U13]") {
  Fleet w(10);
  const Rollout made = w.Begin({20, 100});
  CHECK(made.state() == ROLLOUT_STATE_RUNNING);
  CHECK(made.phases(0).waiting() == 2);
  CHECK(made.phases(1).waiting() == 8);
  w.Go();
  auto moved = w.At(kTo);
  REQUIRE(moved.size() == 2);
  CHECK(w.Now(made).phases(0).under_way() == 2);
  w.Runs(moved[0], kTo);
  w.Go();
  CHECK(w.At(kTo).size() == 2);
  w.Runs(moved[1], kTo);
  w.Go();
  CHECK(w.At(kTo).size() == 10);
  Rollout now = w.Now(made);
  CHECK(now.phase() == 2);
  CHECK(now.phases(0).succeeded() == 2);
  CHECK(now.phases(1).under_way() == 8);
  CHECK(now.etag() != made.etag());
  for (const auto& unit : w.all) w.Runs(unit, kTo);
  w.Go();
  now = w.Now(made);
  CHECK(now.state() == ROLLOUT_STATE_COMPLETED);
  CHECK(now.phases(1).succeeded() == 8);
}

TEST_CASE("a rollout stops on a device that breaks; it is retried, resumed without it, or rolled back", "[U9][U13]") {
  Fleet w(10);
  const Rollout made = w.Begin({20, 100});
  w.Go();
  const auto moved = w.At(kTo);
  w.Runs(moved[0], kTo);
  w.Breaks(moved[1]);
  w.Go();
  Rollout now = w.Now(made);
  REQUIRE(now.state() == ROLLOUT_STATE_STOPPED);
  CHECK(now.reason() == "1 of 2 units failed in phase 1, and none may.");
  CHECK(w.At(kTo).size() == 2);
  ListRolloutUnitsRequest list;
  list.set_rollout_id(made.id());
  list.set_state(ROLLOUT_UNIT_STATE_FAILED);
  ListRolloutUnitsResponse listed;
  REQUIRE(w.rollouts.ListUnits(w.anna, list, listed) == absl::OkStatus());
  REQUIRE(listed.units_size() == 1);
  CHECK(listed.units(0).unit_id() == moved[1].id());
  CHECK(listed.units(0).reason() == "import failed");
  CHECK(listed.units(0).from().commit() == kFrom);

  SECTION("retried") {
    REQUIRE(w.rollouts.Retry(w.anna, made.id(), now) == absl::OkStatus());
    w.Go();
    CHECK(w.Now(made).phases(0).under_way() == 1);
    w.Runs(moved[1], kTo);
    w.Go();
    CHECK(w.At(kTo).size() == 10);
    for (const auto& unit : w.all) w.Runs(unit, kTo);
    w.Go();
    REQUIRE(w.Now(made).state() == ROLLOUT_STATE_COMPLETED);
    CHECK(Reason(w.rollouts.Retry(w.anna, made.id(), now)) == "NOTHING_TO_RETRY");
  }
  SECTION("resumed") {
    REQUIRE(w.rollouts.Resume(w.anna, made.id(), now) == absl::OkStatus());
    w.Go();
    CHECK(w.Now(made).phases(0).failed_passed_over() == 1);
    CHECK(w.At(kTo).size() == 10);
  }
  SECTION("rolled back") {
    REQUIRE(w.rollouts.RollBack(w.anna, made.id(), now) == absl::OkStatus());
    CHECK(now.state() == ROLLOUT_STATE_ROLLING_BACK);
    w.Go();
    now = w.Now(made);
    CHECK(now.state() == ROLLOUT_STATE_ROLLED_BACK);
    CHECK(now.phases(0).moved_back() == 2);
    CHECK(w.At(kFrom).size() == 10);
    CHECK(w.store.GetUnit(*Uuid::Parse(moved[0].id()))->version().follow());
    CHECK(Reason(w.rollouts.Resume(w.anna, made.id(), now)) == "ROLLOUT_STATE");
  }
  SECTION("aborted") {
    REQUIRE(w.rollouts.Abort(w.anna, made.id(), now) == absl::OkStatus());
    w.Go();
    CHECK(w.At(kTo).size() == 2);
    CHECK(Reason(w.rollouts.Pause(w.anna, made.id(), now)) == "ROLLOUT_STATE");
    CHECK(Reason(w.rollouts.Abort(w.anna, made.id(), now)) == "ROLLOUT_STATE");
  }
}

TEST_CASE("a rollout that is paused moves no unit, and counts its failures when it goes on", "[U9]") {
  Fleet w(4);
  const Rollout made = w.Begin({50, 100});
  Rollout now;
  REQUIRE(w.rollouts.Pause(w.anna, made.id(), now) == absl::OkStatus());
  w.Go();
  CHECK(w.At(kTo).empty());
  REQUIRE(w.rollouts.Resume(w.anna, made.id(), now) == absl::OkStatus());
  w.Go();
  const auto moved = w.At(kTo);
  REQUIRE(moved.size() == 2);
  REQUIRE(w.rollouts.Pause(w.anna, made.id(), now) == absl::OkStatus());
  w.Breaks(moved[0]);
  w.Go();
  now = w.Now(made);
  CHECK(now.state() == ROLLOUT_STATE_PAUSED);
  CHECK(now.phases(0).failed() == 1);  // seen while it is paused
  REQUIRE(w.rollouts.Resume(w.anna, made.id(), now) == absl::OkStatus());
  w.Go();
  CHECK(w.Now(made).state() == ROLLOUT_STATE_STOPPED);
}

TEST_CASE("what others do to units of a rollout stays: moved elsewhere, deleted, without a device", "[U9]") {
  Fleet w(4);
  w.all.push_back(w.Unit(w.anna, w.repo));  // no device ever came for it
  w.versions.Add("main", 'b', kSchema, "{}");
  auto request = w.Request({20, 100});
  const Rollout made = w.Begin(request, w.anna);
  CHECK(made.phases(0).units() == 1);
  w.Go();
  const auto first = w.At(kTo);
  REQUIRE(first.size() == 2);  // the unit without a device was made at it
  std::vector<graph::v1::Unit> others = w.At(kFrom);
  REQUIRE(others.size() == 3);
  MoveUnitRequest move;
  move.set_id(others[0].id());
  w.versions.Add("other", 'd', kSchema, "{}");
  move.mutable_pin()->set_branch("other");
  UnitMove told;
  REQUIRE(w.units.Move(w.anna, move, told) == absl::OkStatus());
  REQUIRE(w.units.Delete(w.anna, others[1].id()) == absl::OkStatus());
  w.Runs(first[0], kTo);
  w.Runs(first[1], kTo);
  w.all.erase(std::find_if(w.all.begin(), w.all.end(), [&](const auto& u) { return u.id() == others[1].id(); }));
  w.Go();
  const Rollout now = w.Now(made);
  CHECK(now.phases(1).skipped() == 1);
  CHECK(w.CommitOf(others[0]) == std::string(40, 'd'));
  CHECK(w.CommitOf(others[2]) == kTo);
}

TEST_CASE("units that follow go by the plan of their repository, once for each version", "[U9]") {
  Fleet w(10);
  w.versions.Add("main", 'a', kSchema, "{}");
  w.Plan({10, 100});
  w.Sync();
  CHECK(w.Listed(w.anna).empty());  // all are there
  w.versions.Add("main", 'b', kSchema, "{}");
  w.Sync();
  REQUIRE(w.Listed(w.anna).size() == 1);
  Rollout made = w.Listed(w.anna)[0];
  CHECK(made.creator_id().empty());
  CHECK(made.version().commit() == kTo);
  w.Go();
  auto moved = w.At(kTo);
  REQUIRE(moved.size() == 1);
  w.Sync();
  CHECK(w.Listed(w.anna).size() == 1);  // it decides on them
  CHECK(w.At(kTo).size() == 1);
  w.Breaks(moved[0]);
  w.Go();
  CHECK(w.Now(made).state() == ROLLOUT_STATE_STOPPED);
  w.Sync();
  CHECK(w.At(kTo).size() == 1);

  SECTION("a newer version takes its place, and begins anew with all units") {
    w.versions.Add("main", 'c', kSchema, "{}");
    w.Sync();
    CHECK(w.Now(made).state() == ROLLOUT_STATE_SUPERSEDED);
    const Rollout newer = w.Listed(w.anna)[0];
    CHECK(newer.version().commit() == kNewer);
    CHECK(newer.state() == ROLLOUT_STATE_RUNNING);
    CHECK(newer.phases(0).units() + newer.phases(1).units() == 10);
    w.Go();
    CHECK(w.At(kNewer).size() == 1);
  }
  SECTION("rolled back it stays so until a newer version comes") {
    Rollout now;
    REQUIRE(w.rollouts.RollBack(w.anna, made.id(), now) == absl::OkStatus());
    w.Go();
    w.Sync();
    CHECK(w.At(kFrom).size() == 10);
    FollowPreview preview;
    PreviewFollowRequest ask;
    ask.set_id(w.repo.id());
    REQUIRE(w.followers.Preview(w.anna, ask, preview) == absl::OkStatus());
    CHECK(preview.rollout_id() == made.id());
    CHECK(preview.units() == 0);
    w.versions.Add("main", 'c', kSchema, "{}");
    w.Sync();
    w.Go();
    CHECK(w.At(kNewer).size() == 1);
  }
  SECTION("without the plan a newer version goes to all") {
    UpdateRepoUnitRequest update;
    update.set_id(w.repo.id());
    update.set_no_rollout_plan(true);
    REQUIRE(w.repo_units.Update(w.anna, update, w.repo) == absl::OkStatus());
    CHECK_FALSE(w.repo.has_rollout_plan());
    w.Sync();
    CHECK(w.At(kTo).size() == 1);
    w.versions.Add("main", 'c', kSchema, "{}");
    w.Sync();
    CHECK(w.At(kNewer).size() == 10);
    CHECK(w.Now(made).state() == ROLLOUT_STATE_SUPERSEDED);
  }
  SECTION("paused, the one after it is paused too") {
    Rollout now;
    REQUIRE(w.rollouts.Resume(w.anna, made.id(), now) == absl::OkStatus());
    REQUIRE(w.rollouts.Pause(w.anna, made.id(), now) == absl::OkStatus());
    w.versions.Add("main", 'c', kSchema, "{}");
    w.Sync();
    w.Go();
    CHECK(w.Listed(w.anna)[0].state() == ROLLOUT_STATE_PAUSED);
    CHECK(w.At(kNewer).empty());
  }
}

TEST_CASE("units that came to follow during a rollout go after it", "[U9]") {
  Fleet w(4);
  MoveUnitRequest move;
  move.set_id(w.all[0].id());
  move.mutable_pin()->set_commit(kFrom);
  w.versions.versions["commit:" + kFrom].set_branch("main");
  UnitMove told;
  REQUIRE(w.units.Move(w.anna, move, told) == absl::OkStatus());
  w.Plan({100});
  w.Sync();
  w.Go();
  CHECK(w.At(kTo).size() == 3);
  w.Sql("UPDATE unit SET follow = true");
  w.Sync();
  CHECK(w.At(kTo).size() == 3);
  for (const auto& unit : w.At(kTo)) w.Runs(unit, kTo);
  w.Go();
  CHECK(w.Listed(w.anna)[0].state() == ROLLOUT_STATE_COMPLETED);
  w.Follow();
  CHECK(w.At(kTo).size() == 4);
}

TEST_CASE("a rollout is seen and steered by who made it and by the repository's maintainers", "[U9][A1]") {
  Fleet w(2);
  graph::v1::Unit hers = w.Unit(w.berta, w.repo);
  w.Sql("UPDATE unit SET commit_id = '" + kFrom + "' WHERE id = '" + hers.id() + "'");
  w.Runs(hers, kFrom);
  const Rollout made = w.Begin(w.Request({100}), w.berta);
  CHECK(made.phases(0).units() == 1);  // those of others are not hers to move
  CHECK(w.Listed(w.berta).size() == 1);
  CHECK(w.Listed(w.anna).size() == 1);
  CHECK(w.Listed(w.carla).empty());
  Rollout out;
  CHECK(absl::IsNotFound(w.rollouts.Get(w.carla, made.id(), out)));
  CHECK(absl::IsNotFound(w.rollouts.Pause(w.carla, made.id(), out)));
  CHECK(absl::IsNotFound(w.rollouts.Get({}, made.id(), out)));
  CHECK(w.rollouts.Get(w.carla, Uuid::New().ToString(), out) == w.rollouts.Get(w.carla, made.id(), out));
  CHECK(w.rollouts.Pause(w.anna, made.id(), out) == absl::OkStatus());
  rpc::Caller reading = w.berta;
  reading.reach = rpc::Caller::Reach::kRead;
  CHECK(absl::IsPermissionDenied(w.rollouts.Resume(reading, made.id(), out)));
  CHECK(w.rollouts.Resume(w.berta, made.id(), out) == absl::OkStatus());
  // Of the units the maintainer sees the sums only: the unit is private.
  ListRolloutUnitsRequest list;
  list.set_rollout_id(made.id());
  ListRolloutUnitsResponse listed;
  REQUIRE(w.rollouts.ListUnits(w.anna, list, listed) == absl::OkStatus());
  CHECK(listed.units_size() == 0);
  // Rights are those of the moment in which a unit moves.
  w.Sql("UPDATE node SET owner_id = '" + w.carla.user_id.ToString() + "' WHERE id = '" + hers.id() + "'");
  w.Go();
  CHECK(w.CommitOf(hers) == kFrom);
  CHECK(w.Now(made.id(), w.berta).phases(0).units() == 1);
  CHECK(w.Now(made.id(), w.berta).state() != ROLLOUT_STATE_COMPLETED);

  CHECK(Reason(w.rollouts.Create(w.carla, w.Request({100}), out)) == "");  // carla has hers now
  auto foreign = w.Request({100});
  foreign.add_unit_ids(w.all[0].id());
  CHECK(absl::IsNotFound(w.rollouts.Create(w.berta, foreign, out)));
  CHECK(Reason(w.rollouts.Create(w.berta, w.Request({100}), out)) == "NOTHING_TO_ROLL_OUT");
  CHECK(absl::IsUnauthenticated(w.rollouts.Create({}, w.Request({100}), out)));
}

TEST_CASE("a rollout of somebody who is blocked ends", "[U9][A1]") {
  Fleet w(2);
  const Rollout made = w.Begin({50, 100});
  w.Sql("UPDATE account SET blocked = true WHERE login = 'anna'");
  w.Go();
  CHECK(w.At(kTo).empty());
  CHECK(w.Count("rollout WHERE state = " + std::to_string(ROLLOUT_STATE_ABORTED)) == 1);
}

TEST_CASE("bad rollouts are refused naming the field, and previews make nothing", "[U9]") {
  Fleet w(5);
  Rollout out;
  CreateRolloutRequest bad;
  CHECK(Violations(w.rollouts.Create(w.anna, bad, out)) == "repo_unit_id pin");
  bad = w.Request({50});
  bad.set_follow(true);
  bad.add_unit_ids("x");
  CHECK(Violations(w.rollouts.Create(w.anna, bad, out)) == "pin unit_ids[0] plan.phases[0].percent");
  bad = w.Request({100});
  bad.mutable_pin()->set_branch("gone");
  CHECK(Violations(w.rollouts.Create(w.anna, bad, out)) == "pin.branch");
  bad = w.Request({100});
  const auto other = w.Unit(w.anna, w.Repo(w.anna));
  bad.add_unit_ids(other.id());
  CHECK(Violations(w.rollouts.Create(w.anna, bad, out)) == "unit_ids[0]");

  auto preview = w.Request({20, 100});
  preview.set_preview(true);
  REQUIRE(w.rollouts.Create(w.anna, preview, out) == absl::OkStatus());
  CHECK(out.id().empty());
  CHECK(out.phases(0).units() == 1);
  CHECK(out.phases(1).units() == 4);
  REQUIRE(out.steps_size() == 1);
  CHECK(out.steps(0).units() == 5);
  CHECK(out.steps(0).from_commit() == kFrom);
  CHECK(out.steps(0).variables_size() > 0);
  CHECK(w.Count("rollout") == 0);
  FollowPreview follow;
  PreviewFollowRequest ask;
  ask.set_id(w.repo.id());
  REQUIRE(w.followers.Preview(w.anna, ask, follow) == absl::OkStatus());
  CHECK(follow.units() == 5);
  CHECK(follow.version().commit() == kTo);
  CHECK(follow.steps_size() == 1);
  CHECK(follow.phases_size() == 0);
  CHECK(absl::IsPermissionDenied(w.followers.Preview(w.berta, ask, follow)));
  w.versions.versions["branch:main"].set_schema_json("{");
  follow.Clear();
  REQUIRE(w.followers.Preview(w.anna, ask, follow) == absl::OkStatus());
  CHECK(follow.problem().reason() == FOLLOW_PROBLEM_REASON_INVALID_FILES);
  // Of other settings than it has.
  w.versions.Add("next", 'c', kSchema, "{}");
  ask.set_default_branch("next");
  follow.Clear();
  REQUIRE(w.followers.Preview(w.anna, ask, follow) == absl::OkStatus());
  CHECK(follow.version().commit() == kNewer);
  CHECK(follow.units() == 5);
  ask.set_follow_mode(FOLLOW_MODE_RELEASES);
  follow.Clear();
  REQUIRE(w.followers.Preview(w.anna, ask, follow) == absl::OkStatus());
  CHECK(follow.problem().reason() == FOLLOW_PROBLEM_REASON_NO_RELEASE);
}

TEST_CASE("groups go first, and an idempotency key makes one rollout", "[U9]") {
  Fleet w(4);
  UpdateUnitRequest update;
  update.set_id(w.all[2].id());
  update.set_group("canary");
  graph::v1::Unit unit;
  REQUIRE(w.units.Update(w.anna, update, unit) == absl::OkStatus());
  CHECK(unit.group() == "canary");
  auto request = w.Request({100});
  auto* last = request.mutable_plan()->add_phases();
  *last = request.plan().phases(0);
  request.mutable_plan()->mutable_phases(0)->clear_percent();
  request.mutable_plan()->mutable_phases(0)->set_group("canary");
  rpc::Caller again = w.anna;
  again.idempotency_key = "once";
  const Rollout made = w.Begin(request, again);
  CHECK(w.Begin(request, again).id() == made.id());
  CHECK(w.Count("rollout") == 1);
  w.Go();
  const auto moved = w.At(kTo);
  REQUIRE(moved.size() == 1);
  CHECK(moved[0].id() == w.all[2].id());
}

TEST_CASE("units follow releases: the newest, pre-releases only when they are wanted", "[U9]") {
  Fleet w(2);
  UpdateRepoUnitRequest update;
  update.set_id(w.repo.id());
  update.set_follow_mode(FOLLOW_MODE_RELEASES);
  REQUIRE(w.repo_units.Update(w.anna, update, w.repo) == absl::OkStatus());
  CHECK(w.repo.follow_mode() == FOLLOW_MODE_RELEASES);
  w.Sync();
  CHECK(w.At(kFrom).size() == 2);
  auto unit = w.store.GetUnit(*Uuid::Parse(w.all[0].id()));
  CHECK(unit->follow_problem().reason() == FOLLOW_PROBLEM_REASON_NO_RELEASE);
  CreateUnitRequest create;
  create.set_repo_unit_id(w.repo.id());
  create.set_name("unit");
  graph::v1::Unit made;
  CHECK(Reason(w.units.Create(w.anna, create, made)) == "NO_RELEASE");

  auto release = w.versions.versions["branch:main"];
  release.set_tag("v1.0.0");
  w.versions.versions["release"] = w.versions.versions["commit:" + kTo] = release;
  w.Sync();
  CHECK(w.At(kTo).size() == 2);
  unit = w.store.GetUnit(*Uuid::Parse(w.all[0].id()));
  CHECK(unit->version().tag() == "v1.0.0");
  CHECK(unit->version().branch().empty());
  CHECK_FALSE(unit->has_follow_problem());
  w.versions.Add("next", 'c', kSchema, "{}");
  release = w.versions.versions["branch:next"];
  release.set_tag("v1.1.0-rc.1");
  w.versions.versions["pre-release"] = release;
  w.Sync();
  CHECK(w.At(kTo).size() == 2);
  update.set_pre_releases(true);
  REQUIRE(w.repo_units.Update(w.anna, update, w.repo) == absl::OkStatus());
  w.Sync();
  CHECK(w.At(kNewer).size() == 2);
}
