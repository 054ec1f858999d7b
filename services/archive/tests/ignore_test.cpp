#include "ignore.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>

#include "pepeunit/base/uuid.h"

using namespace pepeunit;
using namespace pepeunit::archive;

TEST_CASE("a .pepeignore leaves out what gitignore would", "[U6][U10]") {
  const auto [text, path, leaves] = GENERATE(table<const char*, const char*, bool>({
      {"", "a", false},
      {"# a\n", "# a", false},
      {"\\# a", "# a", true},
      {"*.md", "README.md", true},
      {"*.md", "docs/README.md", true},
      {"/*.md", "docs/README.md", false},
      {"docs/", "docs/a/b.py", true},
      {"docs/", "docs", false},
      {"docs/", "src/docs/a", true},
      {"/docs/", "src/docs/a", false},
      {"a/*", "a/b/c", true},
      {"a/*.py", "a/b/c.py", false},
      {"a/**/c.py", "a/c.py", true},
      {"a/**/c.py", "a/x/y/c.py", true},
      {"**/tests", "x/tests/t.py", true},
      {"a/**", "a/b", true},
      {"a/**", "ab", false},
      {"*.py\n!main.py", "main.py", false},
      {"*.py\n!main.py", "other.py", true},
      {"lib/\n!lib/a.py", "lib/a.py", true},
      {"lib/*\n!lib/a.py", "lib/a.py", false},
      {"a?c", "abc", true},
      {"a?c", "a/c", false},
      {"[a-c].py", "b.py", true},
      {"[!a-c].py", "b.py", false},
      {"[]x].py", "].py", true},
      {"[a", "[a", false},
      {"trailing  ", "trailing", true},
      {"kept\\ ", "kept ", true},
      {"a\r\nb\r\n", "b", true},
      {"\\!x", "!x", true},
  }));
  CAPTURE(text, path);
  CHECK(Ignore(text).Leaves(path) == leaves);
}

TEST_CASE("a pattern made to take long does not", "[U6]") {
  std::string pattern;
  for (int i = 0; i < 400; ++i) pattern += "*a";
  CHECK_FALSE(Ignore(pattern + "b").Leaves(std::string(1'000, 'a')));
  std::string many;
  for (int i = 0; i < 5'000; ++i) many += "x" + std::to_string(i) + "\n";
  CHECK(Ignore(many).Leaves("x7"));
  CHECK_FALSE(Ignore(many).Leaves("x4999"));  // beyond the bound
}

TEST_CASE("random patterns agree with git check-ignore", "[U6][U10]") {
  namespace fs = std::filesystem;
  const fs::path folder = fs::temp_directory_path() / ("pepeunit-ignore-" + Uuid::New().ToString());
  fs::create_directories(folder);
  REQUIRE(std::system(("git init -q " + folder.string()).c_str()) == 0);
  std::mt19937 random(std::random_device{}());
  const auto one_of = [&](const std::vector<std::string>& choices) { return choices[random() % choices.size()]; };
  const std::vector<std::string> names = {"a", "b", "ab", "a.py", "b.c", "lib"};
  int left_out = 0;
  for (int round = 0; round < 40; ++round) {
    std::string patterns;
    for (int i = 0; i < 6; ++i) {
      std::string pattern = one_of({"", "", "!", "/"});
      const int parts = 1 + static_cast<int>(random() % 3);
      for (int part = 0; part < parts; ++part)
        pattern +=
            (part > 0 ? "/" : "") + one_of({"a", "b", "lib", "*", "**", "?", "a*", "*.py", "[ab]", "[!a]*", "ab"});
      patterns += pattern + one_of({"", "", "/"}) + "\n";
    }
    std::ofstream(folder / ".gitignore") << patterns;
    std::ofstream paths(folder / "paths");
    std::set<std::string> asked;
    for (int i = 0; i < 40; ++i) {
      std::string path = one_of(names);
      for (auto depth = random() % 3; depth > 0; --depth) path += "/" + one_of(names);
      asked.insert(path);
    }
    for (const auto& path : asked) paths << path << "\n";
    paths.close();
    const std::string command =
        "cd " + folder.string() + " && git -c core.excludesFile= check-ignore --no-index --stdin <paths >ignored";
    REQUIRE(std::system(command.c_str()) != -1);
    std::set<std::string> ignored;
    std::ifstream answers(folder / "ignored");
    for (std::string line; std::getline(answers, line);) ignored.insert(line);
    const Ignore ignore(patterns);
    for (const auto& path : asked) {
      CAPTURE(patterns, path);
      CHECK(ignore.Leaves(path) == ignored.contains(path));
    }
    left_out += static_cast<int>(ignored.size());
  }
  CHECK(left_out > 50);
  fs::remove_all(folder);
}
