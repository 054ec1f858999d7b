#include "unit_archives.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "archive_messages.h"
#include "fakes.h"
#include "pepeunit/base/bytes.h"

using namespace pepeunit;
using namespace pepeunit::archive;

namespace {

const std::string kUnit = "0190163d-8694-739b-aea5-966c26f8ad91";

struct ArchiveFixture {
  MemorySources sources;
  ArchiveLimits limits;
  ArchiveWanted wanted{.unit_id = kUnit};
  std::string zip, filename;
  ArchiveHead head;
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
    return archives.Download(call, wanted, [&](const ArchiveHead& said, std::string_view data) {
      ++sends;
      head = said;
      filename = said.filename;
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
  CHECK(out.modes.at("env.json") == 0600);
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

TEST_CASE("a tar.gz holds the same as a zip, with executable bits", "[U6]") {
  ArchiveFixture f;
  f.sources.files.insert(f.sources.files.begin() + 7, {"lib/" + std::string(180, 'n') + "/имя.py", "1"});
  REQUIRE(f.Download().ok());
  const Unzipped zip = Unzip(f.zip);
  f.wanted.format = Format::kTarGz;
  REQUIRE(f.Download().ok());
  CHECK(f.filename == "Boiler-room.tar.gz");
  CHECK(f.head.media_type == "application/gzip");
  const Unzipped tar = Unzip(f.zip);
  REQUIRE((zip.ok && tar.ok));
  CHECK(tar.order == zip.order);
  CHECK(tar.files == zip.files);
  CHECK(tar.modes == zip.modes);
  const std::string first = f.zip;
  REQUIRE(f.Download().ok());
  CHECK(f.zip == first);
  CHECK_FALSE(Unzip(first.substr(0, first.size() - 9)).ok);
}

TEST_CASE("the ETag is another one when the bytes are others", "[U6]") {
  ArchiveFixture f;
  REQUIRE(f.Download().ok());
  const std::string etag = f.head.etag;
  CHECK(etag.size() == 32);
  REQUIRE(f.Download().ok());
  CHECK(f.head.etag == etag);
  f.sources.env = R"({"PEPEUNIT_TOKEN":"u"})";
  REQUIRE(f.Download().ok());
  const std::string other = f.head.etag;
  CHECK(other != etag);
  f.wanted.format = Format::kTarGz;
  REQUIRE(f.Download().ok());
  CHECK(f.head.etag != other);
}

TEST_CASE("parts are those of the whole", "[U6]") {
  ArchiveFixture f;
  f.sources.files[6].text = RandomBytes(300'000);
  f.wanted.format = GENERATE(Format::kZip, Format::kTarGz);
  REQUIRE(f.Download().ok());
  CHECK_FALSE(f.head.part);
  const std::string whole = f.zip, etag = f.head.etag;
  const auto total = static_cast<std::int64_t>(whole.size());
  const auto part = [&](Range range) {
    f.wanted.range = std::move(range);
    REQUIRE(f.Download().ok());
    return f.zip;
  };
  CHECK(part({.first = 0, .last = 0}) == whole.substr(0, 1));
  CHECK(part({.first = 100'000, .last = 200'000}) == whole.substr(100'000, 100'001));
  CHECK(f.head.part->first == 100'000);
  CHECK(f.head.part->length == 100'001);
  CHECK(f.head.part->total == total);
  CHECK(part({.first = 70'000, .last = std::nullopt}) == whole.substr(70'000));
  CHECK(part({.first = 0, .last = total * 2}) == whole);
  CHECK(part({.first = std::nullopt, .last = 77}) == whole.substr(whole.size() - 77));
  CHECK(part({.first = std::nullopt, .last = total * 2}) == whole);
  f.sends = 0;
  CHECK(part({.first = total, .last = std::nullopt}).empty());
  CHECK(f.head.part->length == 0);
  CHECK(f.sends == 1);  // which says how long it is
  CHECK(part({.first = 5, .last = 9, .if_etag = etag}).size() == 5);
  CHECK(part({.first = 5, .last = 9, .if_etag = "another"}) == whole);
  CHECK_FALSE(f.head.part);
}

TEST_CASE("what is left out, and what may not be what it seems, is told", "[U6]") {
  ArchiveFixture f;
  f.sources.files = {{".pepeignore", "docs/\n"},
                     {"README.md", "a"},
                     {"docs/plan.md", "b"},
                     {"env.json", "{}"},
                     {"example.py", ""},
                     {"link", "", false, Piece::Kind::kSymbolicLink},
                     {"model.bin", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"},
                     {"readme.md", "c"},
                     {"schema.json", "{}"},
                     {"vendor", "", false, Piece::Kind::kSubmodule},
                     {"zz/../\xff", "x"}};
  Releases releases(f.sources, {.release = f.limits});
  UnitArchives archives(f.sources, releases);
  const auto listing = archives.List(TestCall(), kUnit);
  REQUIRE(listing.ok());
  const v1::ListUnitArchiveFilesResponse told = ToMessage(*listing);
  const auto text = [](const auto& notes) {
    std::string all;
    for (const auto& note : notes) all += note.path() + ' ' + std::to_string(note.reason()) + '\n';
    return all;
  };
  CHECK(text(told.left_out()) == "env.json 2\nexample.py 1\nlink 5\nvendor 6\nzz/../? 3\ndocs/plan.md 4\n");
  CHECK(told.left_out_count() == 6);
  CHECK(text(told.warnings()) == "model.bin 7\nreadme.md 8\n");
  REQUIRE(told.files_size() == 4);
  CHECK(told.files(0).path() == "README.md");
  CHECK(told.files(3).path() == "schema.json");
  CHECK(told.commit() == kTestCommit);
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
  const auto take = [&](const ArchiveHead&, std::string_view) { return ++taken < 4; };
  SECTION("the receiver takes no more") {
    CHECK(archives.Download(call, {.unit_id = kUnit}, take).code() == absl::StatusCode::kCancelled);
    CHECK(taken == 4);
  }
  SECTION("the call was cancelled") {
    call.cancelled = [&] { return taken >= 2; };
    CHECK(archives.Download(call, {.unit_id = kUnit}, take).code() == absl::StatusCode::kCancelled);
    CHECK(taken == 2);
  }
  SECTION("the deadline passed") {
    call.deadline = std::chrono::system_clock::now();
    CHECK(archives.Download(call, {.unit_id = kUnit}, take).code() == absl::StatusCode::kDeadlineExceeded);
    CHECK(taken == 0);
  }
}

TEST_CASE("an id that is no UUID is named", "[U6]") {
  ArchiveFixture f;
  Releases releases(f.sources, {.release = f.limits});
  UnitArchives archives(f.sources, releases);
  const absl::Status status =
      archives.Download(TestCall(), {.unit_id = "x"}, [](const ArchiveHead&, std::string_view) { return true; });
  REQUIRE(InfoOf(status).violations.size() == 1);
  CHECK(InfoOf(status).violations[0].field == "unit_id");
}
