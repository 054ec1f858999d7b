#include "device_updates.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <thread>

#include "fakes.h"
#include "pepeunit/base/bytes.h"

using namespace pepeunit;
using namespace pepeunit::archive;

namespace {

const std::string kDevice = "0190163d-8694-739b-aea5-966c26f8ad91";
const std::string kRepository = "0190163d-8694-739b-aea5-966c26f8ad92";
const std::string kFirst(40, 'a'), kSecond(40, 'b'), kLarge(40, 'd');
const char kPlainSchema[] = R"({"output_variables":{"t":{"type":"number"}}})";

// A repository with several versions.
class Versions final : public Sources {
 public:
  absl::StatusOr<Package> GetPackage(const rpc::Context&, const Uuid&) override { return Internal("not asked"); }
  absl::StatusOr<std::string> OpenEnv(const rpc::Context&, const Package&) override { return Internal("not asked"); }
  absl::Status ReadTree(const rpc::Context& call, const Package& package,
                        const std::function<absl::Status(const Piece&)>& take) override {
    ++readings;
    while (hold) std::this_thread::yield();
    if (away) return Unavailable("away");
    const auto version = trees.find(package.commit);
    if (version == trees.end()) return NotFound("version");
    MemorySources source;
    source.files = version->second;
    source.piece_bytes = 10;
    return source.ReadTree(call, package, take);
  }

  std::map<std::string, std::vector<TestFile>> trees = {
      {kFirst,
       {{".git/config", "x"},
        {"env.json", "{}"},
        {"gone.py", "g"},
        {"lib/a.py", "old a"},
        {"main.py", "same"},
        {"run.sh", "r"},
        {"schema.json", kPlainSchema},
        {"was_example.py", "e"}}},
      {kSecond,
       {{"../up", "x"},
        {"ENV.json", "{}"},
        {"lib/a.py", "new a"},
        {"lib/b.py", "b"},
        {"main.py", "same"},
        {"run.sh", "r", true},
        {"schema.json", kPlainSchema},
        {"zz.py", ""}}},
      {kLarge, {{"large", std::string(3'000, 'l')}, {"schema.json", kPlainSchema}}},
  };
  std::atomic<bool> hold = false, away = false;
  std::atomic<int> readings = 0;
};

rpc::Context ServiceCall(std::chrono::milliseconds time = std::chrono::seconds(30)) {
  return {.caller = rpc::Caller::Service(), .deadline = std::chrono::system_clock::now() + time, .cancelled = nullptr};
}

v1::GetUpdateManifestRequest Asks(const std::string& commit, const std::string& have = "") {
  v1::GetUpdateManifestRequest request;
  request.set_unit_id(kDevice);
  request.set_repo_unit_id(kRepository);
  request.set_commit(commit);
  request.set_have(have);
  request.set_limit(1'000);
  return request;
}

v1::ReadUpdateFileRequest Reads(const std::string& commit, const std::string& path, std::int64_t offset = 0,
                                std::int64_t length = 1'000) {
  v1::ReadUpdateFileRequest request;
  request.set_unit_id(kDevice);
  request.set_repo_unit_id(kRepository);
  request.set_commit(commit);
  request.set_path(path);
  request.set_offset(offset);
  request.set_length(length);
  return request;
}

struct Updating {
  Versions sources;
  Releases releases{sources, {.release = {.bytes = 4'000, .files = 10}, .cache_bytes = 4'000, .readings = 2}};
  DeviceUpdates updates{releases};

  // `+path` is sent, `-path` goes.
  std::string Delta(const std::string& commit, const std::string& have) {
    v1::UpdateManifest manifest;
    REQUIRE(updates.Manifest(ServiceCall(), Asks(commit, have), manifest) == absl::OkStatus());
    CHECK(manifest.count() == manifest.files_size());
    std::string text;
    for (const auto& file : manifest.files()) text += (file.deleted() ? " -" : " +") + file.path();
    return text;
  }
};

}  // namespace

TEST_CASE("a manifest names what differs between two versions, by the rules of archives", "[U10][U13]") {
  Updating f;
  CHECK(f.Delta(kSecond, kFirst) == " -gone.py +lib/a.py +lib/b.py +run.sh +schema.json +zz.py");
  CHECK(f.Delta(kFirst, kSecond) == " +gone.py +lib/a.py -lib/b.py +run.sh +schema.json -zz.py");
  CHECK(f.Delta(kSecond, kSecond).empty());
  CHECK(f.Delta(kSecond, "") == " +lib/a.py +lib/b.py +main.py +run.sh +schema.json +zz.py");
  CHECK(f.Delta(kSecond, std::string(40, 'e')) == f.Delta(kSecond, ""));  // a version that is not known here

  v1::UpdateManifest manifest;
  REQUIRE(f.updates.Manifest(ServiceCall(), Asks(kSecond, kFirst), manifest).ok());
  CHECK(manifest.files(1).size() == 5);
  CHECK(manifest.files(1).sha256() == Sha256(AsBytes(std::string_view("new a"))));
  CHECK_FALSE(manifest.files(1).executable());
  CHECK(manifest.files(3).executable());
  CHECK(manifest.bytes() == 5 + 1 + 1 + manifest.files(4).size());

  auto page = Asks(kSecond, kFirst);
  page.set_from(4);
  page.set_limit(1);
  v1::UpdateManifest part;
  REQUIRE(f.updates.Manifest(ServiceCall(), page, part).ok());
  REQUIRE(part.files_size() == 1);
  CHECK(part.files(0).path() == "schema.json");
  CHECK(part.count() == manifest.count());
  CHECK(part.bytes() == manifest.bytes());
}

TEST_CASE("files are read as the manifest says, schema.json as the unit has it", "[U10][U13]") {
  Updating f;
  const auto read = [&](const v1::ReadUpdateFileRequest& request) {
    v1::ReadUpdateFileResponse response;
    REQUIRE(f.updates.ReadFile(ServiceCall(), request, response) == absl::OkStatus());
    return response;
  };
  CHECK(read(Reads(kSecond, "lib/a.py")).data() == "new a");
  CHECK(read(Reads(kSecond, "lib/a.py")).shared());
  CHECK(read(Reads(kSecond, "lib/a.py", 2, 2)).data() == "w ");
  CHECK(read(Reads(kSecond, "lib/a.py", 4)).data() == "a");
  CHECK(read(Reads(kSecond, "lib/a.py", 5)).data().empty());
  CHECK(read(Reads(kSecond, "lib/a.py", 5'000)).size() == 5);
  CHECK(read(Reads(kSecond, "zz.py")).size() == 0);

  const auto schema = read(Reads(kSecond, "schema.json"));
  CHECK_FALSE(schema.shared());
  const auto parsed = nlohmann::json::parse(schema.data());
  CHECK(parsed["pepeunit"] == nlohmann::json{{"commit", kSecond}, {"unit", kDevice}});
  v1::UpdateManifest manifest;
  REQUIRE(f.updates.Manifest(ServiceCall(), Asks(kSecond), manifest).ok());
  CHECK(manifest.files(4).sha256() == Sha256(AsBytes(schema.data())));
  CHECK(manifest.files(4).size() == schema.size());

  for (const char* path : {"env.json", "ENV.json", "../up", "gone.py", "lib", ""}) {
    v1::ReadUpdateFileResponse response;
    CHECK(absl::IsNotFound(f.updates.ReadFile(ServiceCall(), Reads(kSecond, path), response)));
  }
}

TEST_CASE("a version is read once, also by many at the same time, and kept while there is room", "[U13]") {
  Updating f;
  f.sources.hold = true;
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      v1::ReadUpdateFileResponse response;
      good += f.updates.ReadFile(ServiceCall(), Reads(kSecond, "main.py"), response).ok() && response.data() == "same";
    });
  }
  while (f.sources.readings == 0) std::this_thread::yield();
  v1::ReadUpdateFileResponse response;
  const auto hasty = f.updates.ReadFile(ServiceCall(std::chrono::milliseconds(1)), Reads(kSecond, "main.py"), response);
  CHECK(absl::IsDeadlineExceeded(hasty));
  f.sources.hold = false;
  for (auto& thread : threads) thread.join();
  CHECK(good == 8);
  CHECK(f.sources.readings == 1);
  f.Delta(kFirst, kSecond);
  CHECK(f.sources.readings == 2);
  f.Delta(kLarge, "");  // the room is less than all of them take
  f.Delta(kLarge, "");
  CHECK(f.sources.readings == 3);
  f.sources.trees[kFirst].push_back({"more", std::string(1'500, 'm')});
  f.Delta(kSecond, "");
  f.Delta(std::string(40, 'a'), "");
  CHECK(f.sources.readings >= 3);
}

TEST_CASE("what was kept longest without use goes first", "[U13]") {
  Updating f;
  f.Delta(kFirst, "");
  f.Delta(kLarge, "");
  f.Delta(kFirst, "");  // used again
  f.sources.trees[std::string(40, 'f')] = {{"x", std::string(1'000, 'x')}, {"schema.json", kPlainSchema}};
  f.Delta(std::string(40, 'f'), "");  // takes the room of kLarge
  const int readings = f.sources.readings;
  f.Delta(kFirst, "");
  CHECK(f.sources.readings == readings);
  f.Delta(kLarge, "");
  CHECK(f.sources.readings == readings + 1);
}

TEST_CASE("errors are told and not kept", "[U13]") {
  Updating f;
  v1::UpdateManifest manifest;
  f.sources.away = true;
  CHECK(absl::IsUnavailable(f.updates.Manifest(ServiceCall(), Asks(kSecond, kFirst), manifest)));
  f.sources.away = false;
  CHECK_FALSE(f.Delta(kSecond, kFirst).empty());
  CHECK(absl::IsNotFound(f.updates.Manifest(ServiceCall(), Asks(std::string(40, 'e')), manifest)));
  f.sources.trees[kSecond].push_back({"a", std::string(5'000, 'x')});
  f.sources.trees[std::string(40, 'c')] = f.sources.trees[kSecond];
  absl::Status status = f.updates.Manifest(ServiceCall(), Asks(std::string(40, 'c')), manifest);
  CHECK(InfoOf(status).reason == "LIMIT");
  CHECK(InfoOf(status).retry_after_ms == 0);  // it does not pass
  f.sources.trees[std::string(40, '1')] = {{"main.py", "x"}};
  CHECK(InfoOf(f.updates.Manifest(ServiceCall(), Asks(std::string(40, '1')), manifest)).reason == "INVALID_REPOSITORY");
  f.sources.trees[std::string(40, '2')] = {{"schema.json", "[]"}};
  CHECK(InfoOf(f.updates.Manifest(ServiceCall(), Asks(std::string(40, '2')), manifest)).reason == "INVALID_REPOSITORY");
}

TEST_CASE("only services ask, and what they ask is checked", "[U13][A4]") {
  Updating f;
  v1::UpdateManifest manifest;
  v1::ReadUpdateFileResponse response;
  CHECK(absl::IsPermissionDenied(f.updates.Manifest(TestCall(), Asks(kSecond), manifest)));
  CHECK(absl::IsPermissionDenied(f.updates.ReadFile(TestCall(), Reads(kSecond, "main.py"), response)));
  const auto field = [](const absl::Status& status) {
    const auto info = InfoOf(status);
    return info.violations.size() == 1 ? info.violations[0].field : "";
  };
  const auto manifest_with = [&](auto change) {
    auto request = Asks(kSecond);
    change(request);
    return field(f.updates.Manifest(ServiceCall(), request, manifest));
  };
  CHECK(manifest_with([](auto& q) { q.set_unit_id("x"); }) == "unit_id");
  CHECK(manifest_with([](auto& q) { q.set_repo_unit_id("../x"); }) == "repo_unit_id");
  CHECK(manifest_with([](auto& q) { q.set_commit("HEAD"); }) == "commit");
  CHECK(manifest_with([](auto& q) { q.set_have("HEAD"); }) == "have");
  CHECK(manifest_with([](auto& q) { q.set_from(-1); }) == "from");
  CHECK(manifest_with([](auto& q) { q.set_limit(0); }) == "limit");
  CHECK(field(f.updates.ReadFile(ServiceCall(), Reads(kSecond, "main.py", -1), response)) == "offset");
  CHECK(field(f.updates.ReadFile(ServiceCall(), Reads(kSecond, "main.py", 0, 0), response)) == "length");
  CHECK(f.sources.readings == 0);
}
