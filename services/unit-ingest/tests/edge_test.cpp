#include "edge.h"

#include <catch2/catch.hpp>
#include <condition_variable>
#include <deque>
#include <latch>
#include <mutex>
#include <nlohmann/json.hpp>

#include "pepeunit/base/errors.h"

using namespace pepeunit;
using namespace pepeunit::unit_ingest;
using nlohmann::json;

namespace {

// A request as the HTTP server would hand it over, and the answer that it got.
class FakeHttp final : public http::Exchange {
 public:
  FakeHttp(std::string token, std::string body)
      : token_(token.empty() ? "" : "Bearer " + token), body_(std::move(body)) {}

  std::string_view method() const override { return method_; }
  std::string_view target() const override { return path_; }
  std::string_view path() const override { return path_; }
  std::string_view query() const override { return ""; }
  std::string_view Header(std::string_view name) const override {
    return name == "authorization" ? token_ : name == "content-type" ? type_ : std::string_view();
  }
  std::string_view body() const override { return body_; }
  std::string_view remote_address() const override { return "127.0.0.1"; }
  const TraceContext& trace() const override { return trace_; }
  void Respond(http::Response response) override {
    std::lock_guard lock(mutex_);
    response_ = std::move(response);
    done_ = true;
    changed_.notify_all();
  }
  void StartStream(http::Response, std::function<void(bool)> done) override { done(false); }
  void Write(std::string, std::function<void(bool)> done) override { done(false); }
  void End(bool) override {}

  bool answered() {
    std::lock_guard lock(mutex_);
    return done_;
  }
  http::Response Wait() {
    std::unique_lock lock(mutex_);
    REQUIRE(changed_.wait_for(lock, std::chrono::seconds(10), [this] { return done_; }));
    return response_;
  }

  std::string_view method_ = "POST", path_ = "/v1/exchange", type_ = "application/octet-stream";

 private:
  std::string token_, body_;
  TraceContext trace_ = TraceContext::New();
  std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;
  http::Response response_;
};

class FakeSource final : public Source {
 public:
  absl::StatusOr<TokenFacts> OpenToken(const std::string& token) override {
    if (away) return Unavailable("away");
    if (token == "other") return TokenFacts{Uuid::New(), 1};
    if (token == "old") return TokenFacts{profile->unit, 0};
    if (token != "good") return Unauthenticated("no");
    return TokenFacts{profile->unit, 1};
  }
  absl::StatusOr<Loaded> Load(const Uuid& unit) override {
    ++loads;
    if (away) return Unavailable("away");
    if (unit != profile->unit) return NotFound("unit");
    if (during_load) std::exchange(during_load, nullptr)();
    return Loaded{profile, standing, {}};
  }
  absl::StatusOr<Standing> LoadStanding(const Uuid&) override {
    ++standings;
    if (away) return Unavailable("away");
    return standing;
  }

  std::shared_ptr<Profile> profile = std::make_shared<Profile>();
  Standing standing;
  std::atomic<bool> away = false;
  std::atomic<int> loads = 0, standings = 0;
  std::function<void()> during_load;
};

class FakeSink final : public ReportSink {
 public:
  void Tell(const Uuid&, std::string payload, const std::string&,
            std::function<void(bus::PublishResult)> done) override {
    bus::PublishResult result;
    if (events_away) {
      result.status = Unavailable("away");
    } else {
      bus::v1::Event event;
      REQUIRE(event.ParseFromString(payload));
      told.push_back(event.device_told());
    }
    done(result);
  }
  std::vector<bus::v1::DeviceTold> told;
  bool events_away = false;

  struct Published {
    bus::v1::ValueMessage message;
    std::uint64_t expected;
  };
  void Publish(const Uuid&, std::string payload, std::uint64_t expected, const std::string&,
               std::function<void(bus::PublishResult)> done) override {
    Published one{{}, expected};
    REQUIRE(one.message.ParseFromString(payload));
    published.push_back(std::move(one));
    if (hold) {
      held.push_back(std::move(done));
      return;
    }
    bus::PublishResult result;
    if (!results.empty()) {
      result = results.front();
      results.pop_front();
    } else {
      result.sequence = 100 + published.size();
    }
    done(result);
  }
  std::vector<Published> published;
  std::deque<bus::PublishResult> results;
  bool hold = false;
  std::vector<std::function<void(bus::PublishResult)>> held;
};

// A version of two files: a.py in the repository, and schema.json, which each unit has its own of.
class FakeFirmware final : public Firmware {
 public:
  absl::StatusOr<archive::v1::UpdateManifest> Manifest(const Profile&, const std::string& have, int from,
                                                       int) override {
    ++manifests;
    if (away) return Unavailable("away");
    last_have = have;
    archive::v1::UpdateManifest manifest;
    manifest.set_count(entries);
    manifest.set_bytes(123);
    for (int i = from; i < entries; ++i) {
      auto* file = manifest.add_files();
      file->set_path("dir/\"file\" " + std::to_string(i));
      file->set_deleted(i % 2 == 1);
      file->set_size(i);
      file->set_sha256(std::string(32, static_cast<char>(0xAB)));
      file->set_executable(i == 2);
    }
    return manifest;
  }
  absl::StatusOr<archive::v1::ReadUpdateFileResponse> Read(const Profile&, const std::string& path, std::int64_t offset,
                                                           std::int64_t length) override {
    ++reads;
    if (away) return Unavailable("away");
    if (path != "a.py" && path != "schema.json") return NotFound("file");
    archive::v1::ReadUpdateFileResponse response;
    response.set_shared(path == "a.py");
    response.set_size(static_cast<std::int64_t>(content.size()));
    if (offset < static_cast<std::int64_t>(content.size()))
      response.set_data(content.substr(static_cast<std::size_t>(offset), static_cast<std::size_t>(length)));
    return response;
  }

  int entries = 3;
  std::string content, last_have;
  std::atomic<bool> away = false;
  std::atomic<int> manifests = 0, reads = 0;
};

struct Answer {
  int status = 0;
  json content;  // opened when sealed, else the problem
  bool sealed = false;
};

struct Fixture {
  FakeSource source;
  FakeSink sink;
  FakeFirmware firmware;
  Executor executor{2, 16};
  std::unique_ptr<Updates> updates;
  EdgeSettings settings{.unit_rate = 1000, .unit_burst = 1000, .cache_units = 100, .max_deliveries = 8};
  std::unique_ptr<Edge> edge;
  Uuid input = Uuid::New();

  explicit Fixture(std::function<void(Fixture&)> change = {}) {
    Profile& p = *source.profile;
    p.unit = Uuid::New();
    p.token_generation = 1;
    p.keys = envelope::Keys::Derive(AsBytes(std::string_view("0123456789abcdef0123456789abcdef")));
    p.target_commit = std::string(40, 'a');
    p.update_attempt = 1;
    schema::Variable count;
    count.type = schema::Type::kInteger;
    p.outputs["count"] = {Uuid::New(), count, {}};
    p.inputs.push_back({input, "target", json(20)});
    if (change) change(*this);
    updates = std::make_unique<Updates>(firmware, executor, settings.update_cache_bytes);
    edge = std::make_unique<Edge>(source, sink, *updates, executor, EdgeMetrics{}, settings);
  }
  ~Fixture() { executor.Drain(); }

  std::string Seal(std::uint64_t sequence, const std::string& plain) {
    std::string sealed;
    envelope::SealRequest(source.profile->keys, source.profile->unit, sequence, plain, &sealed);
    return sealed;
  }
  std::shared_ptr<FakeHttp> Post(const std::string& body, const std::string& token = "good") {
    auto http = std::make_shared<FakeHttp>(token, body);
    edge->Handle(http);
    return http;
  }
  Answer Read(const std::string& body, FakeHttp& http) {
    const http::Response response = http.Wait();
    Answer answer{response.status, {}, response.content_type == "application/octet-stream"};
    if (!answer.sealed) {
      answer.content = json::parse(response.body);
      return answer;
    }
    envelope::Tag tag;
    std::copy(body.end() - envelope::kTagBytes, body.end(), tag.begin());
    const auto opened = envelope::OpenAnswer(source.profile->keys, tag, AsBytes(response.body));
    REQUIRE(opened.ok());
    answer.content = json::parse(opened->plaintext);
    return answer;
  }
  Answer Send(const std::string& body, const std::string& token = "good") {
    Answer answer = Read(body, *Post(body, token));
    Settle();
    return answer;
  }
  // A turn ends after its answer: waits until both threads are free, so that the next exchange runs in the caller's.
  void Settle() {
    const auto both = std::make_shared<std::latch>(2);
    for (int i = 0; i < 2; ++i) REQUIRE(executor.TryRun([both] { both->arrive_and_wait(); }));
    both->wait();
  }
  Answer Send(std::uint64_t sequence, const std::string& plain) { return Send(Seal(sequence, plain)); }
};

const std::string kRuns(40, 'b'), kTarget(40, 'a');

// A question about an update, and its answer.
struct Asked {
  int status = 0;
  json content;       // unless these are bytes of a file
  std::string bytes;  // of a file
  bool sealed = false;
};

Asked AskUpdate(Fixture& f, const std::string& plain, std::uint64_t sequence = 0,
                envelope::Kind kind = envelope::Kind::kUpdateRequest) {
  std::string body;
  envelope::SealRequest(f.source.profile->keys, f.source.profile->unit, sequence, plain, &body, kind);
  auto http = std::make_shared<FakeHttp>("good", body);
  http->path_ = "/v1/update";
  f.edge->Handle(http);
  const http::Response response = http->Wait();
  f.Settle();
  Asked asked{response.status, {}, "", response.content_type == "application/octet-stream"};
  if (!asked.sealed) {
    asked.content = json::parse(response.body);
    return asked;
  }
  envelope::Tag tag;
  std::copy(body.end() - envelope::kTagBytes, body.end(), tag.begin());
  const auto header = envelope::Peek(AsBytes(response.body));
  REQUIRE(header.ok());
  const auto opened = envelope::OpenAnswer(f.source.profile->keys, tag, AsBytes(response.body), header->kind);
  REQUIRE(opened.ok());
  if (header->kind == envelope::Kind::kFileBytes) {
    asked.bytes = opened->plaintext;
  } else {
    CHECK(header->kind == envelope::Kind::kUpdateAnswer);
    asked.content = json::parse(opened->plaintext);
  }
  return asked;
}

Asked AskFile(Fixture& f, const std::string& path, std::int64_t offset, std::int64_t length) {
  return AskUpdate(
      f, json{{"ask", "file"}, {"commit", kTarget}, {"path", path}, {"offset", offset}, {"length", length}}.dump());
}

const std::string kReport = R"({"output_variables":[{"values":{"count":1}}]})";

bus::PublishResult Mismatch() {
  bus::PublishResult result;
  result.status = absl::AbortedError("mismatch");
  result.sequence_mismatch = true;
  return result;
}

}  // namespace

TEST_CASE("a hello tells where to go on, and changes nothing", "[U1][O5][S1]") {
  Fixture f([](Fixture& x) { x.source.standing = {41, std::string(16, 't'), 7}; });
  const Answer answer = f.Send(0, "{}");
  CHECK(answer.status == 200);
  CHECK(answer.content["next"] == 42);
  CHECK(answer.content["input_variables"]["target"] == 20);
  CHECK(answer.content["world_state"].contains("utc"));
  CHECK(f.sink.published.empty());
}

TEST_CASE("a report is answered when the stream has it, not before", "[O5][S4]") {
  Fixture f;
  f.sink.hold = true;
  f.Send(0, "{}");
  const std::string body = f.Seal(1, kReport);
  const auto http = f.Post(body);
  REQUIRE(f.sink.held.size() == 1);
  CHECK_FALSE(http->answered());
  bus::PublishResult stored;
  stored.sequence = 5;
  f.sink.held[0](stored);
  const Answer answer = f.Read(body, *http);
  CHECK(answer.status == 200);
  CHECK_FALSE(answer.content.contains("next"));
  const auto& report = f.sink.published[0].message.report();
  CHECK(report.sequence() == 1);
  CHECK(report.request_tag() == body.substr(body.size() - envelope::kTagBytes, 16));
  CHECK(f.sink.published[0].expected == 0);
  f.sink.hold = false;
  CHECK(f.Send(2, kReport).status == 200);
  CHECK(f.sink.published[1].expected == 5);
  CHECK(f.source.loads == 1);  // nobody was asked again
}

TEST_CASE("a repeated body is refused, and only the very last one is told that it is stored", "[U1]") {
  Fixture f;
  const std::string first = f.Seal(1, kReport), second = f.Seal(2, kReport);
  CHECK(f.Send(first).status == 200);
  CHECK(f.Send(second).status == 200);
  Answer again = f.Send(second);
  CHECK(again.status == 409);
  CHECK(again.content == json::parse(R"({"error":"sequence","next":3,"accepted":true})"));
  CHECK(f.Send(first).content["accepted"] == false);
  CHECK(f.Send(2, "{}").content["accepted"] == false);  // the same sequence, another body
  CHECK(f.sink.published.size() == 2);
}

TEST_CASE("when another replica was quicker, the unit's standing is looked up and decided again", "[U1]") {
  Fixture f;
  CHECK(f.Send(1, kReport).status == 200);
  f.source.standing = {2, "other request...", 55};
  f.sink.results.push_back(Mismatch());
  CHECK(f.Send(2, kReport).status == 409);  // the other replica took this sequence
  f.sink.results.push_back(Mismatch());
  f.source.standing = {2, "other request...", 60};
  CHECK(f.Send(3, kReport).status == 200);  // only the position was old: published again at once
  CHECK(f.sink.published.back().expected == 60);
  f.sink.results = {Mismatch(), Mismatch()};
  CHECK(f.Send(4, kReport).status == 503);  // once, not for ever
}

TEST_CASE("when nobody knows whether a report is stored, the next exchange finds out", "[O5]") {
  Fixture f;
  f.Send(0, "{}");
  bus::PublishResult unknown;
  unknown.status = Unavailable("no ack");
  f.sink.results.push_back(unknown);
  const std::string body = f.Seal(1, kReport);
  const Answer busy = f.Send(body);
  CHECK(busy.status == 503);
  CHECK(busy.content["error"] == "busy");
  f.source.standing = {1, body.substr(body.size() - envelope::kTagBytes, 16), 9};
  const Answer told = f.Send(body);
  CHECK(told.status == 409);
  CHECK(told.content["accepted"] == true);
  CHECK(f.source.standings == 1);
  CHECK(f.source.loads == 1);
}

TEST_CASE("a full stream is told, and uses up no sequence", "[O5]") {
  Fixture f;
  bus::PublishResult full;
  full.status = Limit("full");
  full.stream_full = true;
  f.sink.results.push_back(full);
  const Answer answer = f.Send(1, kReport);
  CHECK(answer.status == 503);
  CHECK(answer.content["retry_after_ms"] == 5000);
  CHECK(f.Send(1, kReport).status == 200);
  CHECK(f.source.standings == 0);
}

TEST_CASE("who is not the device is refused without an effect", "[U4][O5]") {
  Fixture f;
  const std::string good = f.Seal(1, kReport);
  for (const char* token : {"", "bad", "other", "old"}) {
    const Answer answer = f.Send(good, token);
    CHECK(answer.status == 401);
    CHECK_FALSE(answer.sealed);
  }
  CHECK(f.Send(good, std::string(2000, 'x')).status == 401);
  CHECK(f.Send(good.substr(0, 50)).status == 400);
  std::string changed = good;
  changed[60] = static_cast<char>(changed[60] ^ 1);
  CHECK(f.Send(changed).content["reason"] == "BAD_ENVELOPE");
  const auto refused = [&](auto change, int status) {
    auto http = std::make_shared<FakeHttp>("good", good);
    change(*http);
    f.edge->Handle(http);
    CHECK(http->Wait().status == status);
  };
  refused([](FakeHttp& h) { h.method_ = "GET"; }, 405);
  refused([](FakeHttp& h) { h.path_ = "/other"; }, 404);
  refused([](FakeHttp& h) { h.type_ = "text/plain"; }, 415);
  CHECK(f.sink.published.empty());
  CHECK(f.Send(good).status == 200);
}

TEST_CASE("a body that is wrong inside is told, and uses up no sequence", "[S4]") {
  Fixture f;
  const Answer answer = f.Send(1, R"({"output_variables":[{"values":{"nothing":1}}]})");
  CHECK(answer.status == 422);
  CHECK(answer.sealed);
  CHECK(answer.content["errors"][0]["field"] == "output_variables[0].values.nothing");
  CHECK(f.Send(1, kReport).status == 200);
}

TEST_CASE("exchanges of one unit take turns; one too many is sent away") {
  Fixture f;
  f.Send(0, "{}");
  f.sink.hold = true;
  std::vector<std::string> bodies;
  std::vector<std::shared_ptr<FakeHttp>> posts;
  for (std::uint64_t i = 1; i <= 6; ++i) {
    bodies.push_back(f.Seal(i, kReport));
    posts.push_back(f.Post(bodies.back()));
  }
  CHECK(f.sink.published.size() == 1);
  CHECK(posts[5]->Wait().status == 429);
  for (std::size_t i = 0; i < 5; ++i) {
    bus::PublishResult stored;
    stored.sequence = i + 1;
    f.sink.held[i](stored);
    CHECK(f.Read(bodies[i], *posts[i]).status == 200);
  }
}

TEST_CASE("an eager device is told to wait") {
  Fixture f([](Fixture& x) {
    x.settings.unit_rate = 1;
    x.settings.unit_burst = 2;
  });
  CHECK(f.Send(0, "{}").status == 200);
  CHECK(f.Send(1, kReport).status == 200);
  CHECK(f.Send(2, kReport).status == 200);
  const Answer answer = f.Send(3, kReport);
  CHECK(answer.status == 429);
  CHECK(answer.content["retry_after_ms"] > 0);
}

TEST_CASE("who sends again what he captured takes nothing from the device", "[U1][O5]") {
  Fixture f([](Fixture& x) {
    x.settings.unit_rate = 0.001;
    x.settings.unit_burst = 3;
  });
  const std::string hello = f.Seal(0, "{}"), first = f.Seal(1, kReport);
  CHECK(f.Send(hello).status == 200);
  CHECK(f.Send(first).status == 200);
  std::string garbage = first;
  garbage.back() ^= 1;
  for (int i = 0; i < 20; ++i) {
    CHECK(f.Send(first).status == 409);
    CHECK(f.Send(garbage).status == 400);
    f.Send(hello);
  }
  CHECK(f.Send(hello).status == 429);  // hellos have a bucket of their own
  f.sink.hold = true;
  const std::string body = f.Seal(2, kReport);
  const auto http = f.Post(body);
  REQUIRE(f.sink.held.size() == 1);
  // While the device's report waits for the stream, none of its waiting places is taken either.
  for (int i = 0; i < 20; ++i) {
    CHECK(f.Send(first).status == 409);
    CHECK(f.Send(garbage).status == 400);
  }
  bus::PublishResult stored;
  stored.sequence = 5;
  f.sink.held[0](stored);
  CHECK(f.Read(body, *http).status == 200);
}

TEST_CASE("an answer that names what is wrong fits a small device, whatever was sent", "[U1][S4]") {
  Fixture f;
  json values = json::object();
  for (int i = 0; i < 60; ++i) values[std::string(60, '\x01') + std::to_string(i)] = 1;
  const std::string body = f.Seal(1, json{{"output_variables", {{{"values", values}}}}}.dump());
  const auto http = f.Post(body);
  const http::Response response = http->Wait();
  CHECK(response.status == 422);
  CHECK(response.body.size() <= 4096);
  f.Settle();
  const Answer answer = f.Send(2, json{{"output_variables", {{{"values", values}}}}}.dump());
  CHECK(answer.content["error"] == "invalid");
  CHECK(answer.content["errors"].size() > 1);
  CHECK(f.Send((1ULL << 53), kReport).content["errors"][0]["field"] == "sequence");
  CHECK(f.Send((1ULL << 53) - 1, kReport).status == 200);
}

TEST_CASE("changes reach a unit that is known, also while it is being loaded", "[S3][G2]") {
  Fixture f;
  f.source.during_load = [&] { f.edge->UnitChanged(f.source.profile->unit); };
  CHECK(f.Send(0, "{}").status == 200);
  CHECK(f.source.loads == 2);
  f.edge->InputChanged(f.source.profile->unit, f.input, {json(33), 4});
  CHECK(f.Send(0, "{}").content["input_variables"]["target"] == 33);
  f.edge->InputChanged(f.source.profile->unit, f.input, {json(5), 3});
  CHECK(f.Send(0, "{}").content["input_variables"]["target"] == 33);
  f.source.profile->token_generation = 2;  // the env was reset
  f.edge->UnitChanged(f.source.profile->unit);
  CHECK(f.Send(0, "{}").status == 401);
  f.source.profile->token_generation = 1;
  f.edge->DropAll();
  f.source.away = true;
  CHECK(f.Send(0, "{}").status == 503);
  f.source.away = false;
  CHECK(f.Send(0, "{}").status == 200);
}

TEST_CASE("a device that runs another version is offered the one to run, until an attempt is pointless", "[U10]") {
  Fixture f;
  const json offer = {{"commit", kTarget}, {"attempt", 1}};
  CHECK_FALSE(f.Send(1, "{}").content.contains("update"));  // nobody knows what it runs
  CHECK(f.Send(2, R"({"unit_state":{"commit":")" + kRuns + "\"}}").content["update"] == offer);
  CHECK(f.Send(3, "{}").content["update"] == offer);  // it said so last time
  f.source.profile = std::make_shared<Profile>(*f.source.profile);
  f.source.profile->update_attempt = 0;
  f.edge->UnitChanged(f.source.profile->unit);
  CHECK_FALSE(f.Send(4, "{}").content.contains("update"));
  f.source.profile->update_attempt = 2;
  f.edge->UnitChanged(f.source.profile->unit);
  CHECK(f.Send(5, "{}").content["update"]["attempt"] == 2);
  CHECK_FALSE(f.Send(6, R"({"unit_state":{"commit":")" + kTarget + "\"}}").content.contains("update"));
}

TEST_CASE("the other services are told of a version that is news, before the report counts", "[U10][U13]") {
  Fixture f;
  const std::string runs = R"({"unit_state":{"commit":")" + kRuns + "\"}}";
  const auto told = [&](const char* state, int done, int attempt = 1) {
    return json{{"update", {{"commit", kTarget}, {"attempt", attempt}, {"state", state}, {"done", done}, {"total", 9}}}}
        .dump();
  };
  f.sink.events_away = true;
  CHECK(f.Send(1, runs).status == 503);
  CHECK(f.sink.published.empty());
  f.sink.events_away = false;
  CHECK(f.Send(1, runs).status == 200);
  CHECK(f.Send(2, runs).status == 200);  // no news
  REQUIRE(f.sink.told.size() == 1);
  CHECK(f.sink.told[0].commit() == kRuns);
  CHECK(f.sink.told[0].sequence() == 1);
  CHECK(f.sink.told[0].unit_id() == f.source.profile->unit.ToString());
  CHECK_FALSE(f.sink.told[0].has_update());

  CHECK(f.Send(3, told("downloading", 0)).status == 200);
  CHECK(f.Send(4, told("downloading", 5)).status == 200);  // so soon after the last, that is kept to itself
  CHECK(f.Send(5, told("restarting", 9)).status == 200);
  CHECK(f.Send(6, told("rolled_back", 9)).status == 200);
  CHECK(f.Send(7, told("downloading", 0, 2)).status == 200);
  REQUIRE(f.sink.told.size() == 5);
  CHECK(f.sink.told[1].update().state() == bus::v1::DEVICE_UPDATE_STATE_DOWNLOADING);
  CHECK(f.sink.told[2].update().done_bytes() == 9);
  CHECK(f.sink.told[3].update().state() == bus::v1::DEVICE_UPDATE_STATE_ROLLED_BACK);
  CHECK(f.sink.told[4].update().attempt() == 2);
  CHECK(f.sink.published.size() == 7);
}

TEST_CASE("what a device says of its update is checked, and uses up no sequence", "[U13]") {
  Fixture f;
  const json good = {{"commit", kTarget}, {"attempt", 1}, {"state", "failed"}, {"reason", "no room"}};
  const auto [field, change] = GENERATE(table<std::string, json>({
      {"update.commit", {{"commit", "abc"}}},
      {"update.commit", {{"commit", 7}}},
      {"update.attempt", {{"attempt", -1}}},
      {"update.attempt", {{"attempt", "1"}}},
      {"update.state", {{"state", "happy"}}},
      {"update.done", {{"done", 1.5}}},
      {"update.total", {{"total", 1LL << 53}}},
      {"update.reason", {{"reason", std::string(513, 'x')}}},
  }));
  json update = good;
  update.update(change);
  const Answer answer = f.Send(1, json{{"update", update}}.dump());
  CHECK(answer.status == 422);
  CHECK(answer.content["errors"][0]["field"] == field);
  CHECK(f.Send(1, R"({"update":[]})").content["errors"][0]["field"] == "update");
  CHECK(f.sink.told.empty());
  CHECK(f.Send(1, json{{"update", good}}.dump()).status == 200);
  CHECK(f.sink.told[0].update().reason() == "no room");
}

TEST_CASE("the manifest comes in pages that the device can hold", "[U13]") {
  Fixture f;
  const json ask = {{"ask", "manifest"}, {"commit", kTarget}, {"have", kRuns}};
  Asked asked = AskUpdate(f, ask.dump());
  CHECK(asked.status == 200);
  CHECK(f.firmware.last_have == kRuns);
  CHECK(asked.content["count"] == 3);
  CHECK(asked.content["bytes"] == 123);
  CHECK(asked.content["files"][0] == json{{"path", "dir/\"file\" 0"}, {"size", 0}, {"sha256", [] {
                                                                                      std::string hex;
                                                                                      for (int i = 0; i < 32; ++i)
                                                                                        hex += "ab";
                                                                                      return hex;
                                                                                    }()}});
  CHECK(asked.content["files"][1] == json{{"path", "dir/\"file\" 1"}, {"delete", true}});
  CHECK(asked.content["files"][2]["executable"] == true);
  CHECK_FALSE(asked.content.contains("next"));

  f.firmware.entries = 40;
  std::size_t seen = 0;
  for (json page = {{"next", 0}}; page.contains("next");) {
    json next = ask;
    next.update({{"from", page["next"]}, {"max_answer_bytes", 512}});
    asked = AskUpdate(f, next.dump());
    REQUIRE(asked.status == 200);
    CHECK(asked.content.dump().size() <= 512);
    CHECK(asked.content["from"] == seen);
    seen += asked.content["files"].size();
    page = asked.content;
  }
  CHECK(seen == 40);
  CHECK(f.sink.published.empty());
}

TEST_CASE("pieces of files come as they are asked for, and the common ones are fetched once", "[U13]") {
  Fixture f;
  for (int i = 0; i < 200'000; ++i) f.firmware.content += static_cast<char>(i * 31 >> 3);
  const auto& content = f.firmware.content;
  const auto [offset, length] = GENERATE(table<std::int64_t, std::int64_t>({{0, 1},
                                                                            {0, 65'536},
                                                                            {65'535, 2},
                                                                            {65'536, 65'536},
                                                                            {100, 65'536},
                                                                            {131'071, 1024},
                                                                            {199'999, 1024},
                                                                            {200'000, 5},
                                                                            {300'000, 5}}));
  const auto want = offset >= 200'000
                        ? std::string()
                        : content.substr(static_cast<std::size_t>(offset), static_cast<std::size_t>(length));
  for (const char* path : {"a.py", "schema.json", "a.py"}) {
    const Asked asked = AskFile(f, path, offset, length);
    CHECK(asked.status == 200);
    CHECK(asked.bytes == want);
  }
  const int reads = f.firmware.reads;
  CHECK(AskFile(f, "a.py", offset, length).bytes == want);
  CHECK(f.firmware.reads == reads);
  f.firmware.away = true;
  CHECK(AskFile(f, "a.py", offset, length).bytes == want);
  CHECK(AskFile(f, "schema.json", offset, length).status == 503);
}

TEST_CASE("only the version that is offered can be asked for, by the device alone", "[U10][U13]") {
  Fixture f;
  f.firmware.content = "x";
  Asked asked = AskUpdate(f, json{{"ask", "manifest"}, {"commit", kRuns}}.dump());
  CHECK(asked.status == 409);
  CHECK(asked.content == json{{"error", "version"}, {"commit", kTarget}, {"attempt", 1}});
  CHECK(AskUpdate(f, json{{"ask", "manifest"}, {"commit", kTarget}}.dump(), 1).content["errors"][0]["field"] ==
        "sequence");
  // An exchange passed off as a question, and the other way round.
  asked = AskUpdate(f, "{}", 0, envelope::Kind::kRequest);
  CHECK(asked.status == 400);
  CHECK_FALSE(asked.sealed);
  std::string body;
  envelope::SealRequest(f.source.profile->keys, f.source.profile->unit, 1, kReport, &body,
                        envelope::Kind::kUpdateRequest);
  CHECK(f.Send(body).status == 400);
  CHECK(f.sink.published.empty());
  asked = AskFile(f, "b.py", 0, 1);
  CHECK(asked.status == 422);
  CHECK(asked.content["error"] == "invalid");
  f.source.profile = std::make_shared<Profile>(*f.source.profile);
  f.source.profile->update_attempt = 0;
  f.edge->UnitChanged(f.source.profile->unit);
  CHECK(AskFile(f, "a.py", 0, 1).content == json{{"error", "version"}});
}

TEST_CASE("a question that is wrong names its fields", "[U13]") {
  Fixture f;
  const json file = {{"ask", "file"}, {"commit", kTarget}, {"path", "a.py"}, {"offset", 0}, {"length", 1}};
  const auto [field, change] = GENERATE(table<std::string, json>({
      {"ask", {{"ask", "env"}}},
      {"ask", {{"ask", nullptr}}},
      {"commit", {{"commit", std::string(40, 'x')}}},
      {"path", {{"path", ""}}},
      {"path", {{"path", std::string(1025, 'x')}}},
      {"offset", {{"offset", -1}}},
      {"length", {{"length", 0}}},
      {"length", {{"length", 65'537}}},
      {"have", {{"ask", "manifest"}, {"have", "master"}}},
      {"from", {{"ask", "manifest"}, {"from", -1}}},
      {"max_answer_bytes", {{"ask", "manifest"}, {"max_answer_bytes", 100}}},
  }));
  json ask = file;
  ask.update(change);
  const Asked asked = AskUpdate(f, ask.dump());
  CHECK(asked.status == 422);
  CHECK(asked.content["errors"][0]["field"] == field);
  CHECK(AskUpdate(f, "[").content["error"] == "invalid");
  CHECK(f.firmware.reads == 0);
}

TEST_CASE("questions have a rate of their own, and take nothing from the device's reports", "[U13]") {
  Fixture f([](Fixture& x) {
    x.settings.update_rate = 0.001;
    x.settings.update_burst = 2;
  });
  f.firmware.content = "x";
  CHECK(AskFile(f, "a.py", 0, 1).status == 200);
  CHECK(AskFile(f, "a.py", 0, 1).status == 200);
  const Asked asked = AskFile(f, "a.py", 0, 1);
  CHECK(asked.status == 429);
  CHECK(asked.content["error"] == "busy");
  CHECK(f.Send(1, kReport).status == 200);
}
