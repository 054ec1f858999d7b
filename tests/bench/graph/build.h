#pragma once

#include <cstdint>
#include <string>

#include "pepeunit/base/uuid.h"

// A large graph, written straight into the tables of graph-registry.
namespace pepeunit::bench {

// How large, and where what was made can be found again: ids follow from numbers.
struct Shape {
  std::int64_t users = 10'000, units = 100'000, repositories = 1'000, links = 200'000, grants = 100'000;
  static constexpr int kInputs = 4, kOutputs = 6;  // of each unit

  static Shape Scaled(double scale);

  Uuid User(std::int64_t i) const { return Id(1, i * 7); }
  Uuid Repository(std::int64_t i) const { return Id(2, i * 13); }
  Uuid Unit(std::int64_t i) const { return Id(3, i); }
  // `at` below kInputs is an input, else an output.
  Uuid Variable(std::int64_t unit, int at) const { return Id(10 + at, unit); }
  // Administrators, and users who own nothing, follow the others.
  Uuid Administrator() const { return User(users); }
  Uuid Newcomer() const { return User(users + 1); }
  // The sessions of all of them.
  Uuid Session(const Uuid& user) const;

 private:
  // Of version 7: rising with `at`, which stands for the time. `kind` has at most two decimal digits.
  static Uuid Id(int kind, std::int64_t at);
};

// Writes the graph into the empty, migrated schema `schema` and has it analysed. The owners of units and the
// repositories that they are made from are unevenly popular, by the cube of an even distribution: the first user has
// about 5 % of the units, the first repository 10 %. Most nodes are private, a tenth is public; half of the links
// join units of one owner. The same `shape` makes the same graph. Throws what pqxx throws.
void BuildGraph(const std::string& dsn, const std::string& schema, const Shape& shape);

}  // namespace pepeunit::bench
