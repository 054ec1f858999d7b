#include "unit_archives.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "fakes.h"
#include "pepeunit/base/bytes.h"

using namespace pepeunit;
using namespace pepeunit::archive;

namespace {

const std::string kUnit = "0190163d-8694-739b-aea5-966c26f8ad91";

struct ArchiveFixture {
  MemorySources sources;
  ArchiveLimits limits;
  std::string zip, filename;
  int sends = 0;

  ArchiveFixture() {
    sources.files = {{".git/config", "[core]"},
                     {"README.md", "# Unit\n"},
                     {"boot.sh", "#!/bin/sh\n", true},
                     {"env.json", "{\"left\":\"behind\"}"},
                     {"env_example.json", "{\"WIFI_SSID\":\"\"}"},
                     {"examples/one.py", "1"},
                     {"lib/client.py", std::string(200'000, 'c')},
                     {"schema.json", R"({"output_variables":["t"],"input_variables":[]})"},
                     {"zz/../../escape", "x"}};
  }
  absl::Status Download(const rpc::Context& call = TestCall()) {
    zip.clear();
    Releases releases(sources, {.release = limits});
    UnitArchives archives(sources, releases);
    return archives.Download(call, kUnit, [&](const std::string& name, std::string_view data) {
      ++sends;
      filename = name;
      zip += data;
      return true;
    });
  }
};

}  // namespace

TEST_CASE("an archive holds the program, the version and the unit's own env", "[U4][U6]") {
  ArchiveFixture f;
  f.sources.piece_bytes = GENERATE(7u, 1000u, 65536u);
  REQUIRE(f.Download().ok());
  CHECK(f.filename == "Boiler-room.zip");
  const Unzipped out = Unzip(f.zip);
  REQUIRE(out.ok);
  CHECK(out.order == std::vector<std::string>{"README.md", "boot.sh", "lib/client.py", "schema.json", "env.json"});
  CHECK(out.files.at("env.json") == f.sources.env);
  CHECK(out.files.at("lib/client.py") == std::string(200'000, 'c'));
  CHECK(out.modes.at("boot.sh") == 0755);
  CHECK(out.modes.at("README.md") == 0644);
  const auto schema = nlohmann::json::parse(out.files.at("schema.json"));
  CHECK(schema["pepeunit"]["commit"] == kTestCommit);
  CHECK(schema["output_variables"] == nlohmann::json{"t"});
}

TEST_CASE("what .pepeignore names is left out, and it itself", "[U6]") {
  ArchiveFixture f;
  f.sources.files.insert(f.sources.files.begin(), {".pepeignore", "*.md\n/lib/\nschema.json\nenv.json\n"});
  REQUIRE(f.Download().ok());
  CHECK(Unzip(f.zip).order == std::vector<std::string>{"boot.sh", "schema.json", "env.json"});
}

TEST_CASE("the same version gives the same bytes", "[U6]") {
  ArchiveFixture f;
  REQUIRE(f.Download().ok());
  const std::string first = f.zip;
  f.sources.piece_bytes = 999;
  REQUIRE(f.Download().ok());
  CHECK(f.zip == first);
}

TEST_CASE("an error before the first piece sends nothing", "[U6][A4]") {
  ArchiveFixture f;
  SECTION("no right") { f.sources.package_error = NotFound("unit"); }
  SECTION("no version") {
    f.sources.files.clear();
    f.sources.tree_error = NotFound("version");
  }
  CHECK(f.Download().code() == absl::StatusCode::kNotFound);
  CHECK(f.sends == 0);
}

TEST_CASE("a tree that breaks off leaves no archive that could pass for a whole one", "[U6]") {
  ArchiveFixture f;
  f.sources.files[6].text = RandomBytes(200'000);
  f.sources.tree_error = Unavailable("repo-sync went away.");
  CHECK(f.Download().code() == absl::StatusCode::kUnavailable);
  CHECK(f.sends == 0);
}

TEST_CASE("sizes and counts are bounded", "[U6]") {
  ArchiveFixture f;
  SECTION("bytes") { f.limits.bytes = 100'000; }
  SECTION("files") { f.limits.files = 3; }
  const absl::Status status = f.Download();
  CHECK(status.code() == absl::StatusCode::kResourceExhausted);
  CHECK(InfoOf(status).reason == "LIMIT");
  CHECK_FALSE(Unzip(f.zip).ok);
}

TEST_CASE("what a source announces wrongly is no archive", "[U6]") {
  ArchiveFixture f;
  f.sources.announce_more = GENERATE(-1, 1);
  CHECK_FALSE(f.Download().ok());
  CHECK_FALSE(Unzip(f.zip).ok);
}

TEST_CASE("a schema that is none is said to be the repository's fault", "[U6]") {
  ArchiveFixture f;
  f.sources.files[7].text = GENERATE(std::string("[]"), std::string(300'000, ' '));
  const absl::Status status = f.Download();
  CHECK(InfoOf(status).reason == "INVALID_REPOSITORY");
}

TEST_CASE("nothing more is sent once the receiver is gone or the time is over", "[U6]") {
  ArchiveFixture f;
  f.sources.files.assign(200, {"f", RandomBytes(60'000)});
  for (std::size_t i = 0; i < f.sources.files.size(); ++i) f.sources.files[i].path = "f" + std::to_string(i);
  f.sources.files.push_back({"schema.json", "{}"});
  Releases releases(f.sources, {.release = f.limits});
  UnitArchives archives(f.sources, releases);
  rpc::Context call = TestCall();
  int taken = 0;
  const auto take = [&](const std::string&, std::string_view) { return ++taken < 4; };
  SECTION("the receiver takes no more") {
    CHECK(archives.Download(call, kUnit, take).code() == absl::StatusCode::kCancelled);
    CHECK(taken == 4);
  }
  SECTION("the call was cancelled") {
    call.cancelled = [&] { return taken >= 2; };
    CHECK(archives.Download(call, kUnit, take).code() == absl::StatusCode::kCancelled);
    CHECK(taken == 2);
  }
  SECTION("the deadline passed") {
    call.deadline = std::chrono::system_clock::now();
    CHECK(archives.Download(call, kUnit, take).code() == absl::StatusCode::kDeadlineExceeded);
    CHECK(taken == 0);
  }
}

TEST_CASE("an id that is no UUID is named", "[U6]") {
  ArchiveFixture f;
  Releases releases(f.sources, {.release = f.limits});
  UnitArchives archives(f.sources, releases);
  const absl::Status status =
      archives.Download(TestCall(), "x", [](const std::string&, std::string_view) { return true; });
  REQUIRE(InfoOf(status).violations.size() == 1);
  CHECK(InfoOf(status).violations[0].field == "unit_id");
}
