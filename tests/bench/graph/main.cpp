// pepeunit-graph-bench: builds a large graph and times the operations of graph-registry on it; see `tools/bench graph`.
//
//   pepeunit-graph-bench --dsn-file FILE --schema NAME [--scale F] [--rounds N] [--built] [--only TEXT]
//
// FILE holds libpq's connection string of the role that owns the empty schema. `--built`: the graph is there already.
// `--only`: operations whose name holds TEXT.
// Prints one JSON object.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "build.h"
#include "migrations.h"
#include "operations.h"

namespace {

int Usage() {
  std::fprintf(stderr,
               "usage: pepeunit-graph-bench --dsn-file FILE --schema NAME [--scale F] [--rounds N] [--built] "
               "[--only TEXT]\n");
  return 2;
}

int Run(std::map<std::string, std::string> options) {
  using namespace pepeunit;
  std::ifstream file(options["--dsn-file"]);
  const std::string dsn((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const double scale = options.count("--scale") != 0 ? std::atof(options["--scale"].c_str()) : 1;
  const int rounds = options.count("--rounds") != 0 ? std::atoi(options["--rounds"].c_str()) : 400;
  if (dsn.empty() || options["--schema"].empty() || scale <= 0 || scale > 100 || rounds < 1) return Usage();

  const bench::Shape shape = bench::Shape::Scaled(scale);
  postgres::Pool pool({.dsn = dsn, .schema = options["--schema"], .generic_plans = true});
  if (const absl::Status status = postgres::ApplyMigrations(pool, options["--schema"], graph_registry::kMigrations);
      !status.ok()) {
    std::fprintf(stderr, "%s\n", status.ToString().c_str());
    return 1;
  }
  if (options.count("--built") == 0) bench::BuildGraph(dsn, options["--schema"], shape);
  nlohmann::ordered_json json = {{"users", shape.users},
                                 {"units", shape.units},
                                 {"variables", shape.units * (bench::Shape::kInputs + bench::Shape::kOutputs)},
                                 {"repositories", shape.repositories},
                                 {"timings", nlohmann::ordered_json::array()}};
  for (const bench::Timing& t : bench::TimeOperations(pool, shape, rounds, options["--only"])) {
    json["timings"].push_back({{"operation", t.operation},
                               {"user", t.user},
                               {"count", t.count},
                               {"p50_ms", t.p50_ms},
                               {"p99_ms", t.p99_ms},
                               {"most_ms", t.most_ms},
                               {"rows", t.rows}});
  }
  std::printf("%s\n", json.dump().c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::map<std::string, std::string> options;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--built")
      options[name] = "1";
    else if (name.starts_with("--") && i + 1 < argc)
      options[name] = argv[++i];
    else
      return Usage();
  }
  try {
    return Run(options);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "pepeunit-graph-bench: %s\n", e.what());
    return 1;
  }
}
