#include "rollout_plan.h"

#include <algorithm>
#include <utility>

#include "absl/time/time.h"

namespace pepeunit::graph_registry {
namespace {

constexpr int kMostPhases = 20;
constexpr std::uint32_t kUsualSuccess = 90;
constexpr std::int64_t kMostWait = 30 * 86'400;
constexpr std::size_t kMostGroup = 64;
constexpr int kMinutesOfDay = 24 * 60;

// Minutes since midnight, of `22:00`.
std::optional<int> ReadClock(const std::string& text) {
  const auto digit = [&](std::size_t i) { return text[i] >= '0' && text[i] <= '9' ? text[i] - '0' : 100; };
  if (text.size() != 5 || text[2] != ':') return std::nullopt;
  const int hours = digit(0) * 10 + digit(1), minutes = digit(3) * 10 + digit(4);
  if (hours > 23 || minutes > 59) return std::nullopt;
  return hours * 60 + minutes;
}

bool LoadZone(const std::string& name, absl::TimeZone* zone) {
  // The library reads what the name says below its folder, and takes "localtime" and paths, which mean something else
  // on each machine.
  const bool plain =
      name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-_/") == std::string::npos;
  return plain && !name.empty() && name.size() <= 64 && name != "localtime" && name.front() != '/' &&
         absl::LoadTimeZone(name, zone);
}

void CheckQuiet(const std::string& field, graph::v1::QuietHours* quiet, Fields* fields) {
  const auto from = ReadClock(quiet->from()), to = ReadClock(quiet->to());
  if (!from) fields->Fail(field + ".from", "must be a time as 22:00");
  if (!to) fields->Fail(field + ".to", "must be a time as 06:30");
  if (from && from == to) fields->Fail(field + ".to", "must be another time than `from`");
  if (quiet->time_zone().empty()) quiet->set_time_zone("UTC");
  absl::TimeZone zone;
  if (!LoadZone(quiet->time_zone(), &zone))
    fields->Fail(field + ".time_zone", "must be a name of the IANA time zone database, as Europe/Berlin");
}

void CheckPhase(const std::string& field, std::uint32_t* percent_before, graph::v1::RolloutPhase* phase,
                Fields* fields) {
  if (!phase->group().empty()) {
    if (phase->percent() != 0) fields->Fail(field, "must have either `percent` or `group`");
    phase->set_group(CheckGroup(field + ".group", phase->group(), fields));
  } else if (phase->percent() <= *percent_before || phase->percent() > 100) {
    fields->Fail(field + ".percent", "must be 1 to 100, and more than in the phase before");
  } else {
    *percent_before = phase->percent();
  }
  if (phase->success_percent() == 0) phase->set_success_percent(kUsualSuccess);
  if (phase->success_percent() > 100) fields->Fail(field + ".success_percent", "must be 1 to 100");
  const auto& wait = phase->wait();
  if (wait.seconds() < 0 || wait.seconds() > kMostWait || wait.nanos() != 0)
    fields->Fail(field + ".wait", "must be 0s to 2592000s (30 days), in whole seconds");
}

}  // namespace

graph::v1::RolloutPlan UsualPlan() {
  graph::v1::RolloutPlan plan;
  auto* first = plan.add_phases();
  first->set_percent(10);
  first->mutable_wait()->set_seconds(600);
  plan.add_phases()->set_percent(100);
  for (auto& phase : *plan.mutable_phases()) phase.set_success_percent(kUsualSuccess);
  return plan;
}

void CheckPlan(const std::string& field, graph::v1::RolloutPlan* plan, Fields* fields) {
  const int count = plan->phases_size();
  if (count == 0 || count > kMostPhases) fields->Fail(field + ".phases", "must be 1 to 20");
  std::uint32_t percent = 0;
  for (int i = 0; i < std::min(count, kMostPhases); ++i)
    CheckPhase(field + ".phases[" + std::to_string(i) + "]", &percent, plan->mutable_phases(i), fields);
  if (count > 0 && count <= kMostPhases && plan->phases(count - 1).percent() != 100)
    fields->Fail(field + ".phases[" + std::to_string(count - 1) + "].percent", "must be 100 in the last phase");
  if (plan->has_quiet_hours()) CheckQuiet(field + ".quiet_hours", plan->mutable_quiet_hours(), fields);
}

std::string CheckGroup(const std::string& field, const std::string& text, Fields* fields) {
  if (text.empty()) return text;
  const std::string group = fields->Name(field, text);
  if (CountCharacters(group) > kMostGroup) fields->Fail(field, "must have at most 64 characters");
  return group;
}

std::vector<int> AssignPhases(const graph::v1::RolloutPlan& plan, const std::vector<std::string>& groups) {
  constexpr int kNone = -1;
  std::vector<int> assigned(groups.size(), kNone);
  std::size_t gone = 0;
  for (int phase = 0; phase < plan.phases_size(); ++phase) {
    const auto& of = plan.phases(phase);
    const std::size_t goal = of.group().empty() ? (groups.size() * of.percent() + 99) / 100 : groups.size();
    for (std::size_t i = 0; i < groups.size() && gone < goal; ++i) {
      if (assigned[i] != kNone || (!of.group().empty() && groups[i] != of.group())) continue;
      assigned[i] = phase;
      ++gone;
    }
  }
  return assigned;
}

std::optional<std::int64_t> QuietUntil(const graph::v1::RolloutPlan& plan, std::int64_t now_ms) {
  if (!plan.has_quiet_hours()) return std::nullopt;
  const auto from = ReadClock(plan.quiet_hours().from()), to = ReadClock(plan.quiet_hours().to());
  absl::TimeZone zone;
  if (!from || !to || !LoadZone(plan.quiet_hours().time_zone(), &zone)) return std::nullopt;
  const absl::CivilMinute now = absl::ToCivilMinute(absl::FromUnixMillis(now_ms), zone);
  const int minute = now.hour() * 60 + now.minute();
  const bool over_midnight = *to < *from;
  const bool quiet = over_midnight ? minute >= *from || minute < *to : minute >= *from && minute < *to;
  if (!quiet) return std::nullopt;
  const int ahead = (*to - minute + kMinutesOfDay) % kMinutesOfDay;
  return absl::ToUnixMillis(absl::FromCivil(now + ahead, zone));
}

}  // namespace pepeunit::graph_registry
