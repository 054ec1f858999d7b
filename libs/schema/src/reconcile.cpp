#include "pepeunit/schema/reconcile.h"

#include <unordered_map>

namespace pepeunit::schema {
namespace {

Change Compare(const Declared& before, const Declared& after) {
  if (before.direction != after.direction || before.variable.type != after.variable.type) return Change::kReplaced;
  return before.variable == after.variable ? Change::kKept : Change::kChanged;
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
    steps.push_back({Compare(before[found->second], after[i]), name, found->second, i});
    old.erase(found);
  }
  for (std::size_t i = 0; i < before.size(); ++i) {
    const std::string& name = before[i].variable.name;
    if (old.contains(name)) steps.push_back({Change::kRemoved, name, i, std::nullopt});
  }
  return steps;
}

}  // namespace pepeunit::schema
