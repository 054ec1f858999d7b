#pragma once

#include <functional>
#include <random>
#include <string>
#include <vector>

#include "build.h"
#include "pepeunit/postgres/pool.h"

namespace pepeunit::bench {

// How long one operation took for one kind of user.
struct Timing {
  std::string operation, user;
  std::size_t count = 0;
  double p50_ms = 0, p99_ms = 0, most_ms = 0;
  double rows = 0;  // that an answer held, on average
};

// Calls the domain of graph-registry on its real storage, as its handlers do, one call after another, and times each.
// Only those whose name holds `only`.
// Throws std::runtime_error when an operation fails: a refusal where none is expected would be quick for nothing.
std::vector<Timing> TimeOperations(postgres::Pool& pool, const Shape& shape, int rounds, const std::string& only);

}  // namespace pepeunit::bench
