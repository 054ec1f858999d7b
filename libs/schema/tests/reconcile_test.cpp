#include "pepeunit/schema/reconcile.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>
#include <set>

using namespace pepeunit::schema;

namespace {

Declared Of(Direction direction, const std::string& name, Type type = Type::kNumber) {
  Declared declared{direction, {}};
  declared.variable.name = name;
  declared.variable.type = type;
  return declared;
}

constexpr auto kIn = Direction::kInput, kOut = Direction::kOutput;

}  // namespace

TEST_CASE("each variable of two versions has one fate", "[U8]") {
  const Declared plain = Of(kOut, "a");
  struct Row {
    std::string what;
    std::vector<Declared> before, after;
    std::vector<Change> changes;
  };
  auto with = [&](auto change) {
    Declared changed = plain;
    change(changed.variable);
    return changed;
  };
  const std::vector<Row> rows = {
      {"nothing", {}, {}, {}},
      {"the same", {plain}, {plain}, {Change::kKept}},
      {"new", {}, {plain}, {Change::kAdded}},
      {"gone", {plain}, {}, {Change::kRemoved}},
      {"renamed", {plain}, {Of(kOut, "b")}, {Change::kAdded, Change::kRemoved}},
      {"another type", {plain}, {Of(kOut, "a", Type::kInteger)}, {Change::kReplaced}},
      {"another direction", {plain}, {Of(kIn, "a")}, {Change::kReplaced}},
      {"unit", {plain}, {with([](Variable& v) { v.unit = "K"; })}, {Change::kChanged}},
      {"description", {plain}, {with([](Variable& v) { v.description = "x"; })}, {Change::kChanged}},
      {"minimum", {plain}, {with([](Variable& v) { v.minimum = 0; })}, {Change::kChanged}},
      {"maximum", {plain}, {with([](Variable& v) { v.maximum = 0; })}, {Change::kChanged}},
      {"choices",
       {plain},
       {with([](Variable& v) {
         v.choices = {1, 2};
       })},
       {Change::kChanged}},
      {"default", {plain}, {with([](Variable& v) { v.default_value = 1; })}, {Change::kChanged}},
      {"writable_by", {plain}, {with([](Variable& v) { v.people_may_write = false; })}, {Change::kChanged}},
      {"writable_by", {plain}, {with([](Variable& v) { v.links_may_write = false; })}, {Change::kChanged}},
      {"logging", {plain}, {with([](Variable& v) { v.logging.mode = LoggingMode::kOff; })}, {Change::kChanged}},
      {"order", {plain, Of(kOut, "b")}, {Of(kOut, "b"), plain}, {Change::kKept, Change::kKept}},
  };
  for (const Row& row : rows) {
    INFO(row.what);
    std::vector<Change> changes;
    for (const Step& step : Reconcile(row.before, row.after)) {
      changes.push_back(step.change);
      const bool changed = step.change == Change::kChanged;
      CHECK(step.keys == (changed ? std::vector<std::string>{row.what} : std::vector<std::string>{}));
    }
    CHECK(changes == row.changes);
  }
}

TEST_CASE("whatever the versions, every variable is accounted for once", "[U8]") {
  std::mt19937 random(Catch::rngSeed());
  const auto version = [&] {
    std::vector<Declared> variables;
    std::set<std::string> names;
    for (unsigned i = random() % 12; i > 0; --i) {
      const std::string name(1, static_cast<char>('a' + random() % 14));
      if (!names.insert(name).second) continue;
      variables.push_back(Of(random() % 2 ? kIn : kOut, name, static_cast<Type>(random() % 5)));
      if (random() % 3 == 0) variables.back().variable.unit = "K";
    }
    return variables;
  };
  for (int round = 0; round < 2'000; ++round) {
    const auto before = version(), after = version();
    std::set<std::size_t> olds, news;
    for (const Step& step : Reconcile(before, after)) {
      CHECK(step.before.has_value() == (step.change != Change::kAdded));
      CHECK(step.after.has_value() == (step.change != Change::kRemoved));
      if (step.before) CHECK(olds.insert(*step.before).second);
      if (step.after) CHECK(news.insert(*step.after).second);
      if (!step.before || !step.after) continue;
      const Declared &old = before[*step.before], &now = after[*step.after];
      CHECK(old.variable.name == now.variable.name);
      const bool same = old.direction == now.direction && old.variable.type == now.variable.type;
      CHECK(same == (step.change != Change::kReplaced));
    }
    CHECK(olds.size() == before.size());
    CHECK(news.size() == after.size());
  }
}
