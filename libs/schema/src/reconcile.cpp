#include "pepeunit/schema/reconcile.h"

#include <unordered_map>

namespace pepeunit::schema {
namespace {

std::vector<std::string> ChangedKeys(const Variable& a, const Variable& b) {
  std::vector<std::string> keys;
  const auto compare = [&](const char* key, bool same) {
    if (!same) keys.emplace_back(key);
  };
  compare("unit", a.unit == b.unit);
  compare("description", a.description == b.description);
  compare("minimum", a.minimum == b.minimum);
  compare("maximum", a.maximum == b.maximum);
  compare("choices", a.choices == b.choices);
  compare("default", a.default_value == b.default_value);
  compare("writable_by", a.people_may_write == b.people_may_write && a.links_may_write == b.links_may_write);
  compare("logging", a.logging == b.logging);
  return keys;
}

Step Compare(const Declared& before, const Declared& after) {
  Step step{Change::kKept, after.variable.name, std::nullopt, std::nullopt};
  if (before.direction != after.direction || before.variable.type != after.variable.type) {
    step.change = Change::kReplaced;
  } else if (before.variable != after.variable) {
    step.change = Change::kChanged;
    step.keys = ChangedKeys(before.variable, after.variable);
  }
  return step;
}

}  // namespace

std::vector<Step> Reconcile(const std::vector<Declared>& before, const std::vector<Declared>& after) {
  std::unordered_map<std::string, std::size_t> old;
  for (std::size_t i = 0; i < before.size(); ++i) old.emplace(before[i].variable.name, i);
  std::vector<Step> steps;
  for (std::size_t i = 0; i < after.size(); ++i) {
    const std::string& name = after[i].variable.name;
    const auto found = old.find(name);
    if (found == old.end()) {
      steps.push_back({Change::kAdded, name, std::nullopt, i});
      continue;
    }
    steps.push_back(Compare(before[found->second], after[i]));
    steps.back().before = found->second;
    steps.back().after = i;
    old.erase(found);
  }
  for (std::size_t i = 0; i < before.size(); ++i) {
    const std::string& name = before[i].variable.name;
    if (old.contains(name)) steps.push_back({Change::kRemoved, name, i, std::nullopt});
  }
  return steps;
}

}  // namespace pepeunit::schema
