#pragma once

#include <catch2/catch.hpp>
#include <condition_variable>
#include <deque>
#include <latch>
#include <mutex>
#include <nlohmann/json.hpp>

#include "edge.h"
#include "pepeunit/base/errors.h"

// A way in with everything behind it in memory.
namespace pepeunit::unit_ingest {

using nlohmann::json;

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

// A WebSocket as the HTTP server would hand it over.
class FakeWebSocket final : public http::WebSocket {
 public:
  void SendBinary(std::string message, std::function<void(bool)> sent) override {
    messages.push_back(std::move(message));
    if (sent) unsent.push_back(std::move(sent));
  }
  void SendText(std::string message) override { texts.push_back(std::move(message)); }
  void Welcome() override { welcome = true; }
  void Close(std::uint16_t code, const std::string&) override { closed = code; }

  // The pushes that were handed over have left.
  void Flush() {
    for (const auto& sent : std::exchange(unsent, {})) sent(true);
  }
  std::vector<std::string> messages, texts;
  std::vector<std::function<void(bool)>> unsent;
  bool welcome = false;
  int closed = 0;
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
    return Loaded{profile, standing, inputs};
  }
  absl::StatusOr<Standing> LoadStanding(const Uuid&) override {
    ++standings;
    if (away) return Unavailable("away");
    return standing;
  }

  std::shared_ptr<Profile> profile = std::make_shared<Profile>();
  Standing standing;
  std::vector<std::pair<Uuid, InputValue>> inputs;
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
  void Publish(const Uuid&, std::string payload, std::uint64_t expected,
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
  std::size_t waiting() const override { return outstanding; }
  std::size_t outstanding = 0;
  void TellInput(const bus::v1::InputChanged& changed) override { inputs.push_back(changed); }
  std::vector<bus::v1::InputChanged> inputs;
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

inline const std::string kReport = R"({"output_variables":[{"values":{"count":1}}]})";

}  // namespace pepeunit::unit_ingest
