#include "pepeunit/unit_client/guard.h"

#include <catch2/catch.hpp>
#include <fstream>

#include "unit_folder.h"

namespace pepeunit::unit_client {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

struct Guarded : testing::UnitFolder {
  Guarded() { fs::create_directory(home()); }
  fs::path home() const { return folder() / ".pepeunit"; }
  // A version that changes main.py is in its place, on trial.
  void PutOnTrial(int starts) {
    Put("main.py", "new");
    Put(".pepeunit/plan", R"({"path":"main.py","id":"00","size":3,"sha256":"x"})"
                          "\n");
    Put(".pepeunit/old.00", "old");
    Put(".pepeunit/state", json{{"step", "trial"}, {"starts", starts}, {"commit", "c"}, {"attempt", 2}}.dump());
  }
  json State() const { return json::parse(Files().Read(home() / "state")); }

  Files files;
  std::vector<std::string> said;
  Guard guard{folder(), &files, [this](std::string_view line) { said.emplace_back(line); }};
};

TEST_CASE("a folder without a journal is left as it is", "[U10]") {
  Guarded one;
  fs::remove(one.home());
  REQUIRE(one.guard.Settle().ok());
  CHECK(!one.guard.OnTrial());
  CHECK(!fs::exists(one.home()));
}

TEST_CASE("a version on trial holds with the first exchange that is accepted", "[U10]") {
  Guarded one;
  one.PutOnTrial(0);
  REQUIRE(one.guard.Settle().ok());
  CHECK(one.guard.OnTrial());
  CHECK(one.State()["starts"] == 1);
  one.guard.Accepted(nullptr);
  CHECK(!one.guard.OnTrial());
  CHECK(one.State() == json::object());
  CHECK(Files().List(one.home()) == std::vector<std::string>{"state"});
  CHECK(Files().Read(one.folder() / "main.py") == "new");
}

TEST_CASE("a version on trial has three starts", "[U10]") {
  Guarded one;
  one.PutOnTrial(0);
  for (int start = 1; start <= Guard::kStarts; ++start) {
    REQUIRE(one.guard.Settle().ok());
    CHECK(one.guard.OnTrial());
  }
  REQUIRE(one.guard.Settle().ok());
  CHECK(!one.guard.OnTrial());
  CHECK(Files().Read(one.folder() / "main.py") == "old");
  CHECK(one.guard.Untold()["state"] == "rolled_back");
  CHECK(one.guard.Untold()["reason"] == "no exchange was accepted in 3 starts");
  CHECK(one.State()["failed"] == json::parse(R"([["c",2]])"));

  SECTION("what came of it is told until it was accepted") {
    one.guard.Accepted(json{{"state", "downloading"}});
    CHECK(!one.guard.Untold().is_null());
    one.guard.Accepted(one.guard.Untold());
    CHECK(one.guard.Untold().is_null());
    CHECK(one.State()["failed"].size() == 1);
  }
}

TEST_CASE("a version is taken back with the reason, cut between characters", "[U10]") {
  Guarded one;
  CHECK(one.guard.TakeBack("x").code() == absl::StatusCode::kFailedPrecondition);
  one.PutOnTrial(0);
  REQUIRE(one.guard.Settle().ok());
  std::string why;
  while (why.size() < 200) why += "ж";
  REQUIRE(one.guard.TakeBack("x" + why).ok());
  CHECK(one.guard.WantsRestart());
  REQUIRE(one.guard.Settle().ok());
  CHECK(one.guard.Untold()["reason"] == "x" + why.substr(0, 118));
}

TEST_CASE("a damaged state is none; state.new counts when there is no other", "[U10]") {
  Guarded one;
  const std::string damaged = GENERATE("", "{", "[]", "\xff\xfe", "{\"step\":7}");
  one.Put(".pepeunit/state", damaged);
  REQUIRE(one.guard.Settle().ok());
  CHECK(!one.guard.OnTrial());
  CHECK(!one.guard.WantsRestart());

  one.PutOnTrial(0);
  fs::rename(one.home() / "state", one.home() / "state.new");
  REQUIRE(one.guard.Settle().ok());
  CHECK(one.guard.OnTrial());
}

TEST_CASE("a plan that cannot be read is an error that says so, and nothing is touched", "[U10]") {
  Guarded one;
  one.PutOnTrial(Guard::kStarts);
  one.Put(".pepeunit/plan", "no JSON\n");
  const auto settled = one.guard.Settle();
  CHECK(settled.code() == absl::StatusCode::kInternal);
  CHECK(Files().Read(one.folder() / "main.py") == "new");
  CHECK(Files().Read(one.home() / "old.00") == "old");
}

}  // namespace
}  // namespace pepeunit::unit_client
