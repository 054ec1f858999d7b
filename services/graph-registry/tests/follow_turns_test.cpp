#include "follow_turns.h"

#include <catch2/catch.hpp>

#include "world.h"

// Whose units move when.
using namespace pepeunit;
using namespace pepeunit::graph_registry;

namespace {

struct Turns : World {
  rpc::Caller anna = User("anna"), berta = User("berta");
  graph::v1::RepoUnit many = Repo(anna), few = Repo(berta);
  FollowTurns turns{store, followers};
  std::int64_t time_ms = 1;

  Turns() {
    for (int i = 0; i < 45; ++i) Unit(anna, many);
    Unit(berta, few);
    versions.Add("main", 'b', kSchema, "{}");
  }
  void Synced(const graph::v1::RepoUnit& repo, bus::v1::SyncState state = bus::v1::SYNC_STATE_READY) {
    bus::v1::RepoSynced synced;
    synced.set_repo_unit_id(repo.id());
    synced.set_state(state);
    synced.set_time_ms(++time_ms);
    REQUIRE(store.ApplyRepoSynced(synced) == absl::OkStatus());
  }
  bool Take() {
    const auto taken = turns.Take();
    REQUIRE(taken.ok());
    return *taken;
  }
  std::int64_t Moved(const rpc::Caller& owner) {
    return Count("unit JOIN node USING (id) WHERE owner_id = '" + owner.user_id.ToString() + "' AND commit_id = '" +
                 std::string(40, 'b') + "'");
  }
};

}  // namespace

TEST_CASE("many units that follow do not hold up those of others", "[U9]") {
  Turns w;
  CHECK_FALSE(w.Take());
  w.Synced(w.many);
  CHECK(w.Take());
  CHECK(w.Moved(w.anna) == 20);
  w.Synced(w.few);
  CHECK(w.Take());
  CHECK(w.Moved(w.berta) == 1);
  CHECK(w.Moved(w.anna) == 20);
  CHECK(w.Take());
  CHECK(w.Take());
  CHECK(w.Moved(w.anna) == 45);
  CHECK_FALSE(w.Take());
}

TEST_CASE("a sync that comes while units move begins with the first of them again; one that fails moves none", "[U9]") {
  Turns w;
  w.Synced(w.many);
  CHECK(w.Take());
  w.versions.Add("main", 'c', kSchema, "{}");
  w.Synced(w.many);
  for (int i = 0; i < 3; ++i) CHECK(w.Take());
  CHECK_FALSE(w.Take());
  CHECK(w.Count("unit WHERE commit_id = '" + std::string(40, 'c') + "'") == 45);
  w.Synced(w.many, bus::v1::SYNC_STATE_FAILED);
  CHECK_FALSE(w.Take());
}

TEST_CASE("units that cannot be moved now wait a while, and one replica has a repository at a time", "[U9]") {
  Turns w;
  w.Synced(w.few);
  w.versions.status = Unavailable("down");
  CHECK(w.Take());
  CHECK_FALSE(w.Take());  // later
  w.versions.status = absl::OkStatus();
  w.Sql("UPDATE repo_unit SET follow_turn = now() - interval '1 second'");
  const auto taken = w.store.TakeFollowTurn();
  REQUIRE((taken.ok() && taken->has_value()));
  CHECK((*taken)->repo_unit.ToString() == w.few.id());
  CHECK_FALSE(w.Take());
  CHECK(w.Moved(w.berta) == 0);
  // It died: another one takes over.
  w.Sql("UPDATE repo_unit SET follow_turn = now() - interval '1 second'");
  w.turns.Start();
  w.turns.Kick();
  for (int i = 0; i < 100 && w.Moved(w.berta) == 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  w.turns.Stop();
  CHECK(w.Moved(w.berta) == 1);
}
