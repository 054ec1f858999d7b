#include "rollout.h"

#include <catch2/catch.hpp>

#include "absl/time/time.h"
#include "rollout_plan.h"
#include "world.h"

// What a plan may be, who goes when, and when a rollout goes on or stops.
using namespace pepeunit;
using namespace pepeunit::graph_registry;
using namespace pepeunit::graph::v1;

namespace {

RolloutPlan Percents(const std::vector<std::uint32_t>& percents, std::uint32_t success = 90, std::int64_t wait_s = 0) {
  RolloutPlan plan;
  for (const std::uint32_t percent : percents) {
    auto* phase = plan.add_phases();
    phase->set_percent(percent);
    phase->set_success_percent(success);
    phase->mutable_wait()->set_seconds(wait_s);
  }
  return plan;
}

std::string ProblemsOf(RolloutPlan plan) {
  Fields fields;
  CheckPlan("plan", &plan, &fields);
  return Violations(fields.Finish());
}

std::vector<int> Sizes(const RolloutPlan& plan, const std::vector<std::string>& groups) {
  std::vector<int> sizes(static_cast<std::size_t>(plan.phases_size()));
  for (const int phase : AssignPhases(plan, groups)) ++sizes[static_cast<std::size_t>(phase)];
  return sizes;
}

std::int64_t At(const std::string& time) {
  absl::Time parsed;
  std::string error;
  REQUIRE(absl::ParseTime(absl::RFC3339_full, time, &parsed, &error));
  return absl::ToUnixMillis(parsed);
}

RolloutPlan Quiet(const std::string& from, const std::string& to, const std::string& zone) {
  RolloutPlan plan = Percents({100});
  plan.mutable_quiet_hours()->set_from(from);
  plan.mutable_quiet_hours()->set_to(to);
  plan.mutable_quiet_hours()->set_time_zone(zone);
  return plan;
}

// A rollout of phases of ten units each.
struct Running {
  RolloutRow row;
  PhaseCounts counts;

  explicit Running(int phases, std::uint32_t success = 80, std::int64_t wait_s = 0) {
    std::vector<std::uint32_t> percents;
    for (int i = 1; i <= phases; ++i) percents.push_back(static_cast<std::uint32_t>(i * 100 / phases));
    row.plan = Percents(percents, success, wait_s);
    counts.resize(static_cast<std::size_t>(phases));
    for (auto& phase : counts) {
      phase.set_units(10);
      phase.set_waiting(10);
    }
  }
  RolloutPhaseProgress& Set(int phase, int under_way, int succeeded, int failed) {
    auto& count = counts[static_cast<std::size_t>(phase)];
    count.set_under_way(under_way);
    count.set_succeeded(succeeded);
    count.set_failed(failed);
    count.set_waiting(10 - under_way - succeeded - failed);
    return count;
  }
  // Until nothing changes any more.
  RolloutStep Go(std::int64_t now_ms) {
    RolloutStep step;
    do step = Advance(counts, now_ms, &row);
    while (step == RolloutStep::kChanged && row.state == ROLLOUT_STATE_RUNNING);
    return step;
  }
};

}  // namespace

TEST_CASE("what is wrong with a plan is told by its field", "[U9]") {
  CHECK(ProblemsOf(UsualPlan()).empty());
  CHECK(ProblemsOf(Percents({1, 99, 100})).empty());
  CHECK(ProblemsOf({}) == "plan.phases");
  CHECK(ProblemsOf(Percents({10, 10, 100})) == "plan.phases[1].percent");
  CHECK(ProblemsOf(Percents({0, 100})) == "plan.phases[0].percent");
  CHECK(ProblemsOf(Percents({10, 101})) == "plan.phases[1].percent plan.phases[1].percent");
  CHECK(ProblemsOf(Percents({10, 50})) == "plan.phases[1].percent");
  CHECK(ProblemsOf(Percents({100}, 101)) == "plan.phases[0].success_percent");
  CHECK(ProblemsOf(Percents({100}, 90, -1)) == "plan.phases[0].wait");
  CHECK(ProblemsOf(Percents({100}, 90, 2'592'001)) == "plan.phases[0].wait");
  std::vector<std::uint32_t> many;
  for (std::uint32_t i = 80; i <= 100; ++i) many.push_back(i);
  CHECK(ProblemsOf(Percents(many)) == "plan.phases");
  RolloutPlan grouped = Percents({100});
  grouped.mutable_phases(0)->set_group("canary");
  CHECK(ProblemsOf(grouped) == "plan.phases[0]");
  grouped.mutable_phases(0)->set_percent(0);
  CHECK(ProblemsOf(grouped) == "plan.phases[0].percent");  // the last one takes all that are left
  grouped.add_phases()->set_percent(100);
  CHECK(ProblemsOf(grouped).empty());
  grouped.mutable_phases(0)->set_group(std::string(65, 'x'));
  CHECK(ProblemsOf(grouped) == "plan.phases[0].group");
  CHECK(ProblemsOf(Quiet("22:00", "06:30", "Europe/Berlin")).empty());
  CHECK(ProblemsOf(Quiet("22:00", "06:30", "")).empty());
  CHECK(ProblemsOf(Quiet("24:00", "6:30", "Europe/Nowhere")) ==
        "plan.quiet_hours.from plan.quiet_hours.to plan.quiet_hours.time_zone");
  CHECK(ProblemsOf(Quiet("22:00", "22:00", "../../etc/passwd")) == "plan.quiet_hours.to plan.quiet_hours.time_zone");
  CHECK(ProblemsOf(Quiet("22:60", "0a:00", "localtime")) ==
        "plan.quiet_hours.from plan.quiet_hours.to plan.quiet_hours.time_zone");
}

TEST_CASE("a phase takes as many units as it says of all, rounded up; a group those that are in it", "[U9]") {
  const auto plain = [](std::size_t count) { return std::vector<std::string>(count); };
  CHECK(Sizes(Percents({10, 50, 100}), plain(20)) == std::vector<int>{2, 8, 10});
  CHECK(Sizes(Percents({1, 100}), plain(200)) == std::vector<int>{2, 198});
  CHECK(Sizes(Percents({1, 100}), plain(3)) == std::vector<int>{1, 2});
  CHECK(Sizes(Percents({50, 60, 100}), plain(1)) == std::vector<int>{1, 0, 0});
  CHECK(Sizes(Percents({50, 100}), {}) == std::vector<int>{0, 0});
  RolloutPlan plan = Percents({0, 40, 100});
  plan.mutable_phases(0)->set_group("canary");
  CHECK(AssignPhases(plan, {"", "canary", "x", "canary", ""}) == std::vector<int>{2, 0, 2, 0, 2});
  CHECK(AssignPhases(plan, {"", "", "x", "canary", ""}) == std::vector<int>{1, 2, 2, 0, 2});
  CHECK(AssignPhases(plan, {"canary", "canary"}) == std::vector<int>{0, 0});
}

TEST_CASE("quiet hours are those of the clock on the wall, also over midnight and when it is set", "[U9]") {
  const RolloutPlan night = Quiet("22:00", "06:30", "Europe/Berlin");
  CHECK_FALSE(QuietUntil(Percents({100}), At("2026-01-10T23:00:00Z")));
  CHECK_FALSE(QuietUntil(night, At("2026-01-10T20:59:59Z")));  // 21:59 there
  CHECK(QuietUntil(night, At("2026-01-10T21:00:00Z")) == At("2026-01-11T05:30:00Z"));
  CHECK(QuietUntil(night, At("2026-01-11T05:29:59Z")) == At("2026-01-11T05:30:00Z"));
  CHECK_FALSE(QuietUntil(night, At("2026-01-11T05:30:00Z")));
  CHECK(QuietUntil(night, At("2026-07-10T20:00:00Z")) == At("2026-07-11T04:30:00Z"));
  // The night in which it is set forward is an hour shorter.
  CHECK(QuietUntil(night, At("2026-03-28T22:00:00Z")) == At("2026-03-29T04:30:00Z"));
  const RolloutPlan day = Quiet("08:00", "17:00", "UTC");
  CHECK_FALSE(QuietUntil(day, At("2026-01-10T07:59:00Z")));
  CHECK(QuietUntil(day, At("2026-01-10T12:00:00Z")) == At("2026-01-10T17:00:00Z"));
  CHECK_FALSE(QuietUntil(day, At("2026-01-10T17:00:00Z")));
}

TEST_CASE("a rollout goes on when enough units succeeded and the wait is over", "[U9]") {
  Running r(2, 80, 60);
  CHECK(r.Go(1'000) == RolloutStep::kMove);
  r.Set(0, 10, 0, 0);
  CHECK(r.Go(2'000) == RolloutStep::kNothing);
  r.Set(0, 3, 7, 0);
  CHECK(r.Go(3'000) == RolloutStep::kNothing);
  r.Set(0, 1, 8, 1);
  CHECK(r.Go(4'000) == RolloutStep::kNothing);
  CHECK(r.row.reached_ms == 4'000);
  CHECK(r.Go(63'999) == RolloutStep::kNothing);
  CHECK(r.row.phase == 0);
  CHECK(r.Go(64'000) == RolloutStep::kMove);
  CHECK(r.row.phase == 1);
  CHECK(r.row.reached_ms == 0);
  r.Set(1, 2, 8, 0);
  CHECK(r.Go(70'000) == RolloutStep::kNothing);
  CHECK(r.Go(130'000) == RolloutStep::kNothing);  // some are on the way
  CHECK(r.row.state == ROLLOUT_STATE_RUNNING);
  r.Set(1, 0, 10, 0);
  CHECK(r.Go(131'000) == RolloutStep::kNothing);  // one of the phase before is
  r.Set(0, 0, 9, 1);
  CHECK(r.Go(132'000) == RolloutStep::kChanged);
  CHECK(r.row.state == ROLLOUT_STATE_COMPLETED);
}

TEST_CASE("a rollout stops as soon as too many failed, also in a phase that is past, and while it waits", "[U9]") {
  Running r(2, 80, 60);
  r.Set(0, 7, 0, 2);
  CHECK(r.Go(1'000) == RolloutStep::kMove);
  r.Set(0, 7, 0, 3);
  CHECK(r.Go(2'000) == RolloutStep::kChanged);
  CHECK(r.row.state == ROLLOUT_STATE_STOPPED);
  CHECK(r.row.reason == "3 of 10 units failed in phase 1, and at most 2 may.");
  CHECK(r.row.since_ms == 2'000);

  Running past(2, 80);
  past.Set(0, 2, 8, 0);
  CHECK(past.Go(1'000) == RolloutStep::kMove);
  CHECK(past.row.phase == 1);
  past.Set(0, 0, 7, 3);  // one that had succeeded went back
  CHECK(past.Go(2'000) == RolloutStep::kChanged);
  CHECK(past.row.state == ROLLOUT_STATE_STOPPED);

  Running waits(1, 100, 60);
  waits.Set(0, 0, 10, 0);
  CHECK(waits.Go(1'000) == RolloutStep::kNothing);
  waits.Set(0, 0, 9, 1);
  CHECK(waits.Go(2'000) == RolloutStep::kChanged);
  CHECK(waits.row.reason == "1 of 10 units failed in phase 1, and none may.");
}

TEST_CASE("units that do not count neither stop a rollout nor hold it up", "[U9]") {
  Running r(2, 100);
  auto& first = r.Set(0, 0, 2, 4);
  first.set_failed_passed_over(4);
  first.set_skipped(2);
  first.set_without_device(2);
  first.set_waiting(0);
  CHECK(r.Go(1'000) == RolloutStep::kMove);
  CHECK(r.row.phase == 1);
  auto& second = r.Set(1, 0, 0, 0);
  second.set_waiting(0);
  second.set_without_device(10);
  CHECK(r.Go(2'000) == RolloutStep::kChanged);
  CHECK(r.row.state == ROLLOUT_STATE_COMPLETED);
}

TEST_CASE("a phase without units is passed without its wait, and quiet hours move nobody", "[U9]") {
  Running r(2, 90, 3'600);
  r.counts[0].Clear();
  CHECK(r.Go(1'000) == RolloutStep::kMove);
  CHECK(r.row.phase == 1);
  r.row.plan.mutable_quiet_hours()->set_from("22:00");
  r.row.plan.mutable_quiet_hours()->set_to("06:00");
  r.row.plan.mutable_quiet_hours()->set_time_zone("UTC");
  CHECK(r.Go(At("2026-01-10T23:00:00Z")) == RolloutStep::kNothing);
  CHECK(r.Go(At("2026-01-11T06:00:00Z")) == RolloutStep::kMove);
  CHECK(ToMessage(r.row, r.counts, At("2026-01-10T23:00:00Z")).has_quiet_until());
}
