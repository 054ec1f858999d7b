#include "fields.h"

#include <catch2/catch.hpp>

#include "world.h"

using namespace pepeunit;
using namespace pepeunit::graph_registry;

TEST_CASE("names are 1 to 128 characters of UTF-8 without control characters, trimmed") {
  struct Row {
    std::string text;
    std::string kept;
    bool good;
  };
  std::string longest;
  for (int i = 0; i < 128; ++i) longest += "é";
  const Row rows[] = {
      {"a", "a", true},
      {"  Küche \t\n", "Küche", true},
      {longest, longest, true},
      {longest + "é", "", false},
      {"", "", false},
      {"   ", "", false},
      {"a\x01z", "", false},
      {"a\x7Fz", "", false},
      {std::string("a\0z", 3), "", false},
      {"a\xC2\x85z", "", false},  // NEL
      {"a\xC2\xA0z", "a\xC2\xA0z", true},
      {"\xC0\xAF", "", false},      // overlong
      {"\xED\xA0\x80", "", false},  // surrogate
      {"\xF4\x90\x80\x80", "", false},
      {"a\xE2\x82", "", false},  // cut
      {"😀", "😀", true},
      {"👩‍🔧", "👩‍🔧", true},              // with a joiner
      {"می‌خواهم", "می‌خواهم", true},  // with a non-joiner
      {"שלום", "שלום", true},
      {"\u200E+7 \u200F", "\u200E+7 \u200F", true},  // marks of direction
      {"admin\u202Egnp.exe", "", false},             // an override of it
      {"a\u2067b\u2069", "", false},                 // an isolate
      {"a\u2028b", "", false},                       // a line separator
      {"\u200B\u2060", "", false},                   // nothing to see
      {"\u00A0\u3000", "", false},                   // spaces only
      {"\u3164", "", false},                         // a letter that is drawn as nothing
      {"\u00AD", "", false},                         // a hyphen that is drawn at the end of a line
  };
  for (const Row& row : rows) {
    INFO(row.text);
    Fields fields;
    const std::string kept = fields.Name("name", row.text);
    CHECK(fields.Finish().ok() == row.good);
    if (row.good) CHECK(kept == row.kept);
  }
}

TEST_CASE("all problems are told at once") {
  Fields fields;
  fields.Name("name", "");
  fields.Id("id", "x");
  fields.Level("level", static_cast<common::v1::AccessLevel>(9), common::v1::ACCESS_LEVEL_PUBLIC);
  const absl::Status status = fields.Finish();
  CHECK(Violations(status) == "name id level");
  CHECK(Reason(status) == "INVALID_FIELD");
}

TEST_CASE("a cursor is good for its own list and filter only, and not when it was changed") {
  const Uuid id = Uuid::New();
  const std::string cursor = MakeCursor("units", id);
  const auto page = ReadPage("units", 20, cursor);
  REQUIRE(page.ok());
  CHECK(page->after == id);
  CHECK(page->limit == 20);
  CHECK(Reason(ReadPage("links", 20, cursor).status()) == "INVALID_CURSOR");
  for (std::size_t i = 0; i < cursor.size(); ++i) {
    std::string changed = cursor;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    CHECK(Reason(ReadPage("units", 0, changed).status()) == "INVALID_CURSOR");
    CHECK_FALSE((i > 0 && ReadPage("units", 0, cursor.substr(0, i)).ok()));
  }
  CHECK_FALSE(ReadPage("units", 0, cursor + "A").ok());
  CHECK_FALSE(ReadPage("units", 0, "не курсор").ok());
  CHECK(Violations(ReadPage("units", 201, "").status()) == "page_size");
  CHECK(Violations(ReadPage("units", -1, "").status()) == "page_size");
  CHECK(ReadPage("units", 0, "")->limit == 50);
}
