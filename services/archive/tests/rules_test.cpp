#include "rules.h"

#include <catch2/catch.hpp>

using namespace pepeunit;
using namespace pepeunit::archive;

TEST_CASE("which files of a repository a device gets", "[U6]") {
  struct Row {
    std::string path;
    Rule rule;
  };
  const std::vector<Row> rows = {
      {"main.py", Rule::kKeep},
      {"lib/pepeunit.py", Rule::kKeep},
      {"a/b/c/d/e.bin", Rule::kKeep},
      {".gitignore", Rule::kKeep},
      {".gitmodules", Rule::kKeep},
      {".github/workflows/ci.yml", Rule::kKeep},
      {"git/x", Rule::kKeep},
      {"lib/schema.json", Rule::kKeep},
      {"lib/env.json", Rule::kKeep},
      {"exam.py", Rule::kKeep},
      {"...", Rule::kKeep},
      {"имя.py", Rule::kKeep},
      {"with space.txt", Rule::kKeep},
      {"schema.json", Rule::kStamp},
      {"env.json", Rule::kReplace},
      {"ENV.json", Rule::kReplace},
      {"env_example.json", Rule::kDrop},
      {"example/main.py", Rule::kDrop},
      {"lib/Examples/a/b.py", Rule::kDrop},
      {"my-EXAMPLE-file", Rule::kDrop},
      {"counterexample.txt", Rule::kDrop},
      {".git/config", Rule::kDrop},
      {".git", Rule::kDrop},
      {"sub/.git/HEAD", Rule::kDrop},
      {"sub/.GIT/HEAD", Rule::kDrop},
      {"", Rule::kUnsafe},
      {"/etc/passwd", Rule::kUnsafe},
      {"../x", Rule::kUnsafe},
      {"a/../../x", Rule::kUnsafe},
      {"a/..", Rule::kUnsafe},
      {"./a", Rule::kUnsafe},
      {"a//b", Rule::kUnsafe},
      {"a/", Rule::kUnsafe},
      {"a\\b", Rule::kUnsafe},
      {"..\\x", Rule::kUnsafe},
      {"C:/x", Rule::kUnsafe},
      {"a:stream", Rule::kUnsafe},
      {std::string("a\0b", 3), Rule::kUnsafe},
      {"a\nb", Rule::kUnsafe},
      {"\xff\xfe", Rule::kUnsafe},
      {"\xc0\xaf", Rule::kUnsafe},
      {"\xed\xa0\x80", Rule::kUnsafe},
      {"cut\xd0", Rule::kUnsafe},
      {"../example", Rule::kUnsafe},
      {std::string(1025, 'a'), Rule::kUnsafe},
      {std::string(1024, 'a'), Rule::kKeep},
  };
  for (const Row& row : rows) {
    INFO(row.path);
    CHECK(RuleFor(row.path) == row.rule);
  }
}

TEST_CASE("an archive is named after its unit, in letters that every system takes", "[U6]") {
  const Uuid unit = *Uuid::Parse("0190163d-8694-739b-aea5-966c26f8ad91");
  CHECK(ArchiveName("boiler", unit) == "boiler");
  CHECK(ArchiveName("Boiler room 2", unit) == "Boiler-room-2");
  CHECK(ArchiveName("../../etc/passwd", unit) == "etc-passwd");
  CHECK(ArchiveName("a\"; x=\r\n", unit) == "a-x");
  CHECK(ArchiveName(".hidden.", unit) == "hidden");
  CHECK(ArchiveName("Котёл 3", unit) == "3");
  CHECK(ArchiveName("Котёл", unit) == "unit-0190163d-8694-739b-aea5-966c26f8ad91");
  CHECK(ArchiveName("", unit) == "unit-0190163d-8694-739b-aea5-966c26f8ad91");
  CHECK(ArchiveName(std::string(200, 'x'), unit) == std::string(64, 'x'));
}
