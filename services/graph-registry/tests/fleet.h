#pragma once

#include <catch2/catch.hpp>

#include "follow_turns.h"
#include "world.h"

// Units of one repository with devices that do as they are told here.
namespace pepeunit::graph_registry {

using namespace pepeunit::graph::v1;

inline const std::string kFrom(40, 'a'), kTo(40, 'b'), kNewer(40, 'c');

struct Fleet : World {
  rpc::Caller anna = User("anna"), berta = User("berta"), carla = User("carla");
  RepoUnit repo = Repo(anna);
  std::vector<graph::v1::Unit> all;
  FollowTurns turns{store, followers};
  std::uint64_t sequence = 0;
  std::int64_t time_ms = 1;

  // Units that stand at the old version, with devices that run it.
  explicit Fleet(int count) {
    for (int i = 0; i < count; ++i) {
      all.push_back(Unit(anna, repo));
      Runs(all.back(), kFrom);
    }
    versions.Add("main", 'b', kSchema, "{}");
  }
  void Hear(const graph::v1::Unit& unit, const std::string& commit, const std::string& target = "",
            bus::v1::DeviceUpdateState state = bus::v1::DEVICE_UPDATE_STATE_UNSPECIFIED) {
    bus::v1::DeviceTold told;
    told.set_unit_id(unit.id());
    told.set_sequence(++sequence);
    told.set_time_ms(NowMs());
    told.set_commit(commit);
    if (!target.empty()) {
      const auto row = update_store.GetUpdate(*Uuid::Parse(unit.id()));
      REQUIRE(row.ok());
      told.mutable_update()->set_commit(target);
      told.mutable_update()->set_attempt(row->attempt);
      told.mutable_update()->set_state(state);
      told.mutable_update()->set_reason("import failed");
    }
    REQUIRE(updates.Hear(told) == absl::OkStatus());
  }
  void Runs(const graph::v1::Unit& unit, const std::string& commit) { Hear(unit, commit); }
  void Breaks(const graph::v1::Unit& unit, const std::string& target = kTo) {
    Hear(unit, kFrom, target, bus::v1::DEVICE_UPDATE_STATE_ROLLED_BACK);
  }
  std::string CommitOf(const graph::v1::Unit& unit) {
    const auto now = store.GetUnit(*Uuid::Parse(unit.id()));
    REQUIRE(now.ok());
    return now->version().commit();
  }
  std::vector<graph::v1::Unit> At(const std::string& commit) {
    std::vector<graph::v1::Unit> found;
    for (const auto& unit : all) {
      if (CommitOf(unit) == commit) found.push_back(unit);
    }
    return found;
  }
  // Turns until all is done that can be done now.
  void Go() {
    for (int quiet = 0; quiet < 2;) {
      Sql("UPDATE rollout SET turn = now() - interval '1 second'");
      const std::int64_t before = Count("rollout_unit WHERE state = 1");
      for (std::int64_t i = Count("rollout"); i > 0; --i) REQUIRE(rollout_turns.Take().ok());
      quiet = Count("rollout_unit WHERE state = 1") == before ? quiet + 1 : 0;
    }
  }
  CreateRolloutRequest Request(const std::vector<std::uint32_t>& percents, std::uint32_t success = 100) {
    CreateRolloutRequest request;
    request.set_repo_unit_id(repo.id());
    request.mutable_pin()->set_branch("main");
    for (const std::uint32_t percent : percents) {
      auto* phase = request.mutable_plan()->add_phases();
      phase->set_percent(percent);
      phase->set_success_percent(success);
    }
    return request;
  }
  Rollout Begin(const CreateRolloutRequest& request, const rpc::Caller& by) {
    Rollout made;
    REQUIRE(rollouts.Create(by, request, made) == absl::OkStatus());
    return made;
  }
  Rollout Begin(const std::vector<std::uint32_t>& percents, std::uint32_t success = 100) {
    return Begin(Request(percents, success), anna);
  }
  Rollout Now(const std::string& id, const rpc::Caller& by) {
    Rollout now;
    REQUIRE(rollouts.Get(by, id, now) == absl::OkStatus());
    return now;
  }
  Rollout Now(const Rollout& rollout) { return Now(rollout.id(), anna); }
  // The repository goes in phases from now on.
  void Plan(const std::vector<std::uint32_t>& percents) {
    UpdateRepoUnitRequest update;
    update.set_id(repo.id());
    *update.mutable_rollout_plan() = Request(percents).plan();
    REQUIRE(repo_units.Update(anna, update, repo) == absl::OkStatus());
  }
  void Sync() {
    bus::v1::RepoSynced synced;
    synced.set_repo_unit_id(repo.id());
    synced.set_state(bus::v1::SYNC_STATE_READY);
    synced.set_time_ms(++time_ms);
    REQUIRE(store.ApplyRepoSynced(synced) == absl::OkStatus());
    Follow();
  }
  void Follow() {
    Sql("UPDATE repo_unit SET follow_turn = now() - interval '1 second'");
    for (;;) {
      const auto taken = turns.Take();
      REQUIRE(taken.ok());
      if (!*taken) return;
    }
  }
  std::vector<Rollout> Listed(const rpc::Caller& by) {
    ListRolloutsRequest request;
    request.set_repo_unit_id(repo.id());
    ListRolloutsResponse response;
    REQUIRE(rollouts.List(by, request, response) == absl::OkStatus());
    return {response.rollouts().begin(), response.rollouts().end()};
  }
};

}  // namespace pepeunit::graph_registry
