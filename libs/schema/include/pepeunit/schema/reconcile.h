#pragma once

#include <optional>
#include <string>
#include <vector>

#include "pepeunit/schema/schema.h"

namespace pepeunit::schema {

enum class Direction { kInput, kOutput };

struct Declared {
  Direction direction = Direction::kInput;
  Variable variable;
};

// What happens to one variable when a unit moves from one version to another (U8).
enum class Change {
  kKept,      // as it was
  kChanged,   // the same variable with another unit of measure, bound, choice, default, permission or logging
  kAdded,     // not there before
  kRemoved,   // not there any more: its links and history go
  kReplaced,  // the name is there, but of another type or direction: removed and added
};

struct Step {
  Change change = Change::kKept;
  std::string name;
  std::optional<std::size_t> before, after;  // places in the two lists
  std::vector<std::string> keys{};  // kChanged: what is another, as schema.json names it: "unit", "minimum" ...
};

// From the variables of one version to those of another, both with unique names: in the order of `after`, then what is
// removed, in the order of `before`. A variable is known by its name: one that was renamed is removed and added. Pure.
std::vector<Step> Reconcile(const std::vector<Declared>& before, const std::vector<Declared>& after);

}  // namespace pepeunit::schema
