#include "unit_update.h"

#include <catch2/catch.hpp>

#include "world.h"

using namespace pepeunit;
using namespace pepeunit::graph_registry;
using namespace pepeunit::graph::v1;

namespace {

const std::string kRan(40, 'a'), kTarget(40, 'b'), kThird(40, 'c');

bus::v1::DeviceTold Runs(std::uint64_t sequence, const std::string& commit) {
  bus::v1::DeviceTold told;
  told.set_sequence(sequence);
  told.set_time_ms(static_cast<std::int64_t>(sequence) * 1000);
  told.set_commit(commit);
  return told;
}

bus::v1::DeviceTold Says(std::uint64_t sequence, std::uint32_t attempt, bus::v1::DeviceUpdateState state,
                         const std::string& reason = "", const std::string& running = kRan) {
  auto told = Runs(sequence, running);
  auto* update = told.mutable_update();
  update->set_commit(kTarget);
  update->set_attempt(attempt);
  update->set_state(state);
  update->set_done_bytes(5);
  update->set_total_bytes(9);
  update->set_reason(reason);
  return told;
}

// A device that runs the old version, and its unit that was moved to the new one: attempt 2, for the first was that of
// the old one.
UpdateRow Moved() {
  UpdateRow row;
  Hear(Runs(1, kRan), kRan, &row);
  Retarget(kTarget, 1'500, &row);
  return row;
}

}  // namespace

TEST_CASE("a device tells which version it runs", "[U10]") {
  UpdateRow row;
  CHECK(row.state == UPDATE_STATE_UNKNOWN);
  Hear(Runs(1, kRan), kTarget, &row);
  CHECK(row.state == UPDATE_STATE_OFFERED);
  CHECK(row.running_commit == kRan);
  CHECK(row.running_ms == 1'000);
  Hear(Runs(2, kTarget), kTarget, &row);
  CHECK(row.state == UPDATE_STATE_CONFIRMED);
  CHECK(row.since_ms == 2'000);
  Hear(Runs(3, kTarget), kTarget, &row);
  CHECK(row.since_ms == 2'000);
  const auto attempt = row.attempt;
  Hear(Runs(4, kThird), kTarget, &row);  // somebody loaded another one by hand
  CHECK(row.state == UPDATE_STATE_OFFERED);
  CHECK(row.attempt == attempt + 1);
}

TEST_CASE("an update goes its way to the end", "[U10][U13]") {
  UpdateRow row = Moved();
  CHECK(row.state == UPDATE_STATE_OFFERED);
  CHECK(row.attempt == 2);
  CHECK(row.offered_ms == 1'500);
  Hear(Says(2, 2, bus::v1::DEVICE_UPDATE_STATE_DOWNLOADING), kTarget, &row);
  CHECK(row.state == UPDATE_STATE_DOWNLOADING);
  CHECK(row.done_bytes == 5);
  CHECK(row.total_bytes == 9);
  Hear(Says(3, 2, bus::v1::DEVICE_UPDATE_STATE_VERIFYING), kTarget, &row);
  CHECK(row.state == UPDATE_STATE_VERIFYING);
  Hear(Says(4, 2, bus::v1::DEVICE_UPDATE_STATE_RESTARTING), kTarget, &row);
  CHECK(row.state == UPDATE_STATE_RESTARTING);
  Hear(Runs(5, kTarget), kTarget, &row);
  CHECK(row.state == UPDATE_STATE_CONFIRMED);
  CHECK(ToMessage(row).attempts_left() == 0);
}

TEST_CASE("what was told before, or of another attempt or version, changes nothing", "[U13]") {
  UpdateRow row = Moved();
  Hear(Says(5, 2, bus::v1::DEVICE_UPDATE_STATE_DOWNLOADING), kTarget, &row);
  const UpdateRow kept = row;
  Hear(Says(5, 2, bus::v1::DEVICE_UPDATE_STATE_FAILED), kTarget, &row);
  Hear(Says(4, 2, bus::v1::DEVICE_UPDATE_STATE_FAILED), kTarget, &row);
  Hear(Runs(3, kTarget), kTarget, &row);
  CHECK(row == kept);
  Hear(Says(6, 1, bus::v1::DEVICE_UPDATE_STATE_ROLLED_BACK), kTarget, &row);
  Hear(Says(7, 3, bus::v1::DEVICE_UPDATE_STATE_ROLLED_BACK), kTarget, &row);
  Hear(Says(8, 2, bus::v1::DEVICE_UPDATE_STATE_ROLLED_BACK), kThird, &row);
  CHECK(row.state == UPDATE_STATE_DOWNLOADING);
}

TEST_CASE("what fails is offered again, but not for ever; what was rolled back is not", "[U13]") {
  UpdateRow row = Moved();
  for (std::uint32_t i = 0; i < kMostUpdateFailures; ++i) {
    CHECK(row.offered);
    CHECK(row.attempt == 2 + i);
    Hear(Says(10 + i, row.attempt, bus::v1::DEVICE_UPDATE_STATE_FAILED, "no room"), kTarget, &row);
    CHECK(row.state == UPDATE_STATE_FAILED);
    CHECK(row.reason == "no room");
    CHECK(ToMessage(row).attempts_left() == kMostUpdateFailures - 1 - i);
  }
  CHECK_FALSE(row.offered);
  CHECK(Retry(20'000, &row));
  CHECK(row.offered);
  CHECK(row.state == UPDATE_STATE_OFFERED);
  CHECK(row.reason.empty());
  const auto offer = row.attempt;
  CHECK(Retry(20'000, &row));
  CHECK(row.attempt == offer + 1);
  Hear(Says(29, row.attempt, bus::v1::DEVICE_UPDATE_STATE_DOWNLOADING), kTarget, &row);
  CHECK_FALSE(Retry(20'000, &row));
  Hear(Says(30, row.attempt, bus::v1::DEVICE_UPDATE_STATE_ROLLED_BACK, "ValueError: x"), kTarget, &row);
  CHECK(row.state == UPDATE_STATE_ROLLED_BACK);
  CHECK_FALSE(row.offered);
  CHECK(ToMessage(row).reason() == "ValueError: x");
  const auto tried = row.attempt;
  Retarget(kRan, 31'000, &row);
  CHECK(row.state == UPDATE_STATE_CONFIRMED);
  Retarget(kTarget, 32'000, &row);
  CHECK(row.attempt > tried);  // a device that refuses what it tried takes it for a new offer
  CHECK(row.offered);
}

TEST_CASE("silence is told, and a device that comes back goes on", "[U13]") {
  const UpdateTimeouts timeouts{.silence_ms = 100, .deadline_ms = 1'000};
  UpdateRow row = Moved();
  Expire(timeouts, 2'499, &row);
  CHECK(row.state == UPDATE_STATE_OFFERED);
  Expire(timeouts, 2'500, &row);
  CHECK(row.state == UPDATE_STATE_TIMED_OUT);
  CHECK(row.offered);
  Hear(Says(3, 2, bus::v1::DEVICE_UPDATE_STATE_DOWNLOADING), kTarget, &row);
  CHECK(row.state == UPDATE_STATE_DOWNLOADING);
  CHECK(row.reason.empty());
  Expire(timeouts, 3'099, &row);
  CHECK(row.state == UPDATE_STATE_DOWNLOADING);
  Expire(timeouts, 3'100, &row);
  CHECK(row.state == UPDATE_STATE_TIMED_OUT);
  CHECK(row.reason.find("downloading") != std::string::npos);
  Hear(Runs(4, kTarget), kTarget, &row);
  Expire(timeouts, 1'000'000, &row);
  CHECK(row.state == UPDATE_STATE_CONFIRMED);
}

TEST_CASE("how far a device is stands in its unit, and what it is offered in its profile", "[U9][U10][U13]") {
  World w;
  const auto anna = w.User("anna"), berta = w.User("berta");
  const auto repo = w.Repo(anna);
  const auto unit = w.Unit(anna, repo, common::v1::ACCESS_LEVEL_PUBLIC);
  const Uuid id = *Uuid::Parse(unit.id());
  const auto now = [&] { return *w.store.GetUnit(id); };
  const auto profile = [&] {
    UnitProfile out;
    REQUIRE(w.internals.UnitProfile(rpc::Caller::Service(), unit.id(), out) == absl::OkStatus());
    return out;
  };
  std::uint64_t sequence = 0;
  const auto hear = [&](bus::v1::DeviceTold told) {
    told.set_unit_id(unit.id());
    told.set_sequence(++sequence);
    told.set_time_ms(NowMs());
    REQUIRE(w.updates.Hear(told) == absl::OkStatus());
  };
  CHECK(unit.update().state() == UPDATE_STATE_UNKNOWN);
  CHECK(profile().update_attempt() == 1);
  CHECK(profile().repo_unit_id() == repo.id());

  const std::string first = unit.version().commit();
  hear(Runs(0, first));
  CHECK(now().update().state() == UPDATE_STATE_CONFIRMED);
  CHECK(now().update().running_commit() == first);
  CHECK(now().etag() != unit.etag());

  w.versions.Add("next", 'b', kSchema, "{}");
  MoveUnitRequest move;
  move.set_id(unit.id());
  move.mutable_pin()->set_branch("next");
  UnitMove moved;
  REQUIRE(w.units.Move(anna, move, moved) == absl::OkStatus());
  CHECK(now().update().state() == UPDATE_STATE_OFFERED);
  const auto attempt = profile().update_attempt();
  CHECK(attempt == 2);

  w.Events();
  const auto rolled_back = Says(0, attempt, bus::v1::DEVICE_UPDATE_STATE_ROLLED_BACK, "broken", first);
  hear(rolled_back);
  CHECK(now().update().state() == UPDATE_STATE_ROLLED_BACK);
  CHECK(now().update().reason() == "broken");
  CHECK(profile().update_attempt() == 0);
  const auto events = w.Events();  // what the edge caches is no longer true
  REQUIRE(events.size() == 1);
  CHECK(events[0].unit_changed().unit_id() == unit.id());
  hear(rolled_back);
  CHECK(w.Events().empty());

  CHECK(absl::IsPermissionDenied(w.updates.Retry(berta, unit.id())));
  CHECK(absl::IsUnauthenticated(w.updates.Retry({}, unit.id())));
  CHECK(w.updates.Retry(anna, unit.id()) == absl::OkStatus());
  CHECK(profile().update_attempt() == attempt + 1);
  CHECK(w.Count("audit WHERE action = 'unit.retry-update'") == 1);
  CHECK(w.Count("audit WHERE action = 'hear'") == 0);

  CHECK(w.Events().size() == 1);
  const auto before = w.Count("graph_change");
  hear(Says(0, attempt + 1, bus::v1::DEVICE_UPDATE_STATE_DOWNLOADING, "", first));
  CHECK(w.Count("graph_change") == before + 1);  // whoever watches is told
  CHECK(w.Events().empty());                     // and the edge is not disturbed
  CHECK(*w.updates.Expire() == 0);
  w.Sql("UPDATE unit_update SET heard_at = now() - interval '2 hours'");
  CHECK(*w.updates.Expire() == 1);
  CHECK(now().update().state() == UPDATE_STATE_TIMED_OUT);
  CHECK(*w.updates.Expire() == 0);

  UnitMove back;
  move.mutable_pin()->set_commit(first);
  REQUIRE(w.units.Move(anna, move, back) == absl::OkStatus());
  CHECK(now().update().state() == UPDATE_STATE_CONFIRMED);
  CHECK(Reason(w.updates.Retry(anna, unit.id())) == "NOTHING_TO_RETRY");

  bus::v1::DeviceTold gone = Runs(1, kRan);
  gone.set_unit_id(Uuid::New().ToString());
  CHECK(w.updates.Hear(gone) == absl::OkStatus());
  gone.set_unit_id("nonsense");
  CHECK(w.updates.Hear(gone) == absl::OkStatus());
}
