#include "pepeunit/base/config.h"

#include <catch2/catch.hpp>
#include <cstdio>
#include <fstream>
#include <map>

using namespace pepeunit;

namespace {
Config Make(std::map<std::string, std::string> values) {
  return Config("test", [values](const std::string& name) -> std::optional<std::string> {
    const auto found = values.find(name);
    return found == values.end() ? std::nullopt : std::optional(found->second);
  });
}
}  // namespace

TEST_CASE("values, defaults and durations") {
  Config config = Make({{"A", "7"}, {"B", "90s"}, {"C", "yes"}});
  CHECK(config.Integer("A", 1, 0, 10, "a") == 7);
  CHECK(config.Duration("B", std::chrono::seconds(1), "b") == std::chrono::seconds(90));
  CHECK(config.Boolean("C", false, "c"));
  CHECK(config.String("D", "fallback", "d") == "fallback");
  CHECK(config.Duration("E", std::chrono::hours(24), "e") == std::chrono::hours(24));
  CHECK(config.Finish().ok());
  CHECK(config.HelpTable().find("| `E` | `1d` | e |") != std::string::npos);
}

TEST_CASE("all problems are told at once, and no secret is") {
  Config config = Make({{"A", "70000"}, {"B", "soon"}, {"C", "maybe"}});
  config.Port("A", 1, "a");
  config.Duration("B", std::chrono::seconds(1), "b");
  config.Boolean("C", true, "c");
  config.Secret("KEY", "the key");
  config.Required("E", "e");
  const std::string message(config.Finish().message());
  for (const char* part : {"A must be", "B must be", "C must be", "neither KEY nor KEY_FILE", "E is not set"}) {
    CHECK(message.find(part) != std::string::npos);
  }
}

TEST_CASE("a secret comes from a file without its last newline") {
  const std::string path = std::tmpnam(nullptr);
  std::ofstream(path) << "s3cret\n";
  Config config = Make({{"KEY_FILE", path}});
  CHECK(config.Secret("KEY", "the key") == "s3cret");
  CHECK(config.Finish().ok());
  std::remove(path.c_str());
  Config missing = Make({{"KEY_FILE", path}});
  missing.Secret("KEY", "the key");
  CHECK_FALSE(missing.Finish().ok());
}
