#include "pepeunit/bus/bus.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "private_nats.h"

using namespace pepeunit;
using namespace std::chrono_literals;

namespace {

struct Fixture {
  bus::PrivateNats server;
  bus::Bus bus{{.url = server.url(), .token = "", .name = "test"}};

  Fixture() { REQUIRE(bus.EnsureStream(bus::ValuesStream(1 << 20, 1), 10s).ok()); }

  bus::PublishResult Put(const std::string& subject, const std::string& payload, bus::PublishOptions options = {}) {
    return bus.PublishAndWait(subject, payload, options);
  }
};

bool Eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 500; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(20ms);
  }
  return false;
}

}  // namespace

TEST_CASE("a message is stored, deduplicated by id, and compared by the subject's last sequence") {
  Fixture f;
  const auto first =
      f.Put("values.0.report.a", "1", {.expected_last_subject_sequence = 0, .message_id = "", .traceparent = ""});
  REQUIRE(first.status.ok());
  CHECK(f.Put("values.0.report.b", "1", {.expected_last_subject_sequence = 0, .message_id = "m1", .traceparent = ""})
            .status.ok());
  const auto again =
      f.Put("values.0.report.a", "2", {.expected_last_subject_sequence = 0, .message_id = "", .traceparent = ""});
  CHECK(again.sequence_mismatch);
  CHECK(f.Put("values.0.report.a", "2",
              {.expected_last_subject_sequence = first.sequence, .message_id = "", .traceparent = ""})
            .status.ok());
  CHECK(f.Put("values.0.report.c", "x", {.expected_last_subject_sequence = {}, .message_id = "m1", .traceparent = ""})
            .duplicate);
  const auto last = f.bus.GetLastMessage("VALUES", "values.0.report.a");
  REQUIRE(last.ok());
  REQUIRE(last->has_value());
  CHECK((*last)->payload == "2");
  CHECK(f.bus.GetLastMessage("VALUES", "values.0.report.nobody")->has_value() == false);
  CHECK(f.bus.GetLastMessage("VALUES", "values.0.>")->value().stream_sequence == 3);
  CHECK(f.Put("elsewhere.x", "1").status.code() == absl::StatusCode::kUnavailable);
}

TEST_CASE("a full stream refuses instead of losing, and takes again after a purge") {
  Fixture f;
  const std::string large(100'000, 'x');
  bus::PublishResult result;
  int stored = 0;
  while ((result = f.Put("values.0.input.a", large)).status.ok() && stored < 100) ++stored;
  CHECK(result.stream_full);
  CHECK(stored >= 8);
  const auto state = f.bus.GetStreamState("VALUES");
  REQUIRE(state.ok());
  CHECK(state->messages == static_cast<std::uint64_t>(stored));
  REQUIRE(f.bus.PurgeUpTo("VALUES", 4).ok());
  CHECK(f.bus.GetStreamState("VALUES")->first_sequence == 5);
  CHECK(f.Put("values.0.input.a", large).status.ok());
}

TEST_CASE("a reader begins where it is told, in order, and sees what comes later") {
  Fixture f;
  for (int i = 1; i <= 10; ++i) REQUIRE(f.Put("values.0.input.a", std::to_string(i)).status.ok());
  REQUIRE(f.Put("values.1.input.a", "other").status.ok());
  auto reader = f.bus.ReadStream("VALUES", "values.0.>", 4);
  std::vector<std::string> seen;
  while (seen.size() < 7) {
    const auto messages = reader->Fetch(3, 500ms);
    REQUIRE(messages.ok());
    REQUIRE_FALSE(messages->empty());
    for (const auto& m : *messages) seen.push_back(m.payload);
  }
  CHECK(seen == std::vector<std::string>{"4", "5", "6", "7", "8", "9", "10"});
  CHECK(reader->Fetch(10, 50ms)->empty());
  std::thread late([&] {
    std::this_thread::sleep_for(100ms);
    f.Put("values.0.input.a", "late");
  });
  const auto begin = std::chrono::steady_clock::now();
  const auto messages = reader->Fetch(1000, 10s);
  late.join();
  REQUIRE(messages.ok());
  REQUIRE(messages->size() == 1);
  CHECK(messages->front().payload == "late");
  CHECK(std::chrono::steady_clock::now() - begin < 1500ms);  // it does not wait for the batch to fill
  CHECK(f.bus.PurgeUpTo("VALUES", 5).ok());
  CHECK(f.bus.ReadStream("VALUES", "values.0.>", 1)->Fetch(1, 500ms)->front().payload == "6");
}

TEST_CASE("a durable consumer gets again what it did not acknowledge") {
  Fixture f;
  REQUIRE(f.bus.EnsureStream(bus::EventsStream(1), 10s).ok());
  REQUIRE(f.Put("events.a", "1", {.expected_last_subject_sequence = {}, .message_id = "", .traceparent = "tp"})
              .status.ok());
  REQUIRE(f.Put("events.a", "2").status.ok());
  {
    auto consumer = f.bus.Consume("EVENTS", "worker", "events.>");
    const auto messages = consumer->Fetch(1, 1s);
    REQUIRE(messages.ok());
    REQUIRE(messages->size() == 1);
    CHECK(messages->front().traceparent == "tp");
    CHECK(consumer->AckFetched().ok());
  }
  auto consumer = f.bus.Consume("EVENTS", "worker", "events.>");
  const auto messages = consumer->Fetch(10, 1s);
  REQUIRE(messages.ok());
  REQUIRE(messages->size() == 1);
  CHECK(messages->front().payload == "2");
}

TEST_CASE("core subscriptions deliver, and end with their object") {
  Fixture f;
  std::atomic<int> got = 0;
  {
    auto subscription = f.bus.Subscribe("inputs.>", [&](const bus::Message&) { ++got; });
    REQUIRE(f.bus.Flush(1s).ok());
    REQUIRE(f.bus.PublishCore("inputs.x", "1").ok());
    CHECK(Eventually([&] { return got == 1; }));
  }
  REQUIRE(f.bus.PublishCore("inputs.x", "2").ok());
  REQUIRE(f.bus.Flush(1s).ok());
  std::this_thread::sleep_for(50ms);
  CHECK(got == 1);
}

TEST_CASE("start order does not matter") {
  bus::PrivateNats server;
  server.Kill();
  bus::Bus bus({.url = server.url(), .token = "", .name = "test"});
  CHECK_FALSE(bus.connected());
  CHECK(bus.PublishAndWait("values.0.x", "1", {}).status.code() == absl::StatusCode::kUnavailable);
  server.Start();
  CHECK(bus.EnsureStream(bus::ValuesStream(1 << 20, 1), 20s).ok());
  CHECK(bus.Ping().ok());
}

TEST_CASE("what was acknowledged is there after the server was killed, many times over") {
  Fixture f;
  std::atomic<int> gaps = 0;
  f.bus.OnGap([&] { ++gaps; });
  std::mutex mutex;
  std::set<std::string> acknowledged;
  std::atomic<bool> stop = false;
  std::atomic<int> outstanding = 0;
  std::thread writer([&] {
    for (int i = 0; !stop; ++i) {
      const std::string payload = std::to_string(i);
      ++outstanding;
      f.bus.Publish("values.0.input.k", payload, {}, [&, payload](bus::PublishResult r) {
        if (r.status.ok()) {
          std::lock_guard lock(mutex);
          acknowledged.insert(payload);
        }
        --outstanding;
      });
      while (outstanding > 200 && !stop) std::this_thread::sleep_for(1ms);
      if (i % 50 == 0) std::this_thread::sleep_for(5ms);
    }
  });
  auto reader = f.bus.ReadStream("VALUES", "values.0.>", 1);
  std::map<std::string, int> seen;
  const auto read = [&] {
    const auto messages = reader->Fetch(500, 100ms);
    if (!messages.ok()) return std::size_t{1};
    for (const auto& m : *messages) ++seen[m.payload];
    return messages->size();
  };
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 3; ++i) read();
    f.server.Kill();
    read();
    f.server.Start();
    REQUIRE(Eventually([&] { return f.bus.Ping().ok(); }));
  }
  stop = true;
  writer.join();
  REQUIRE(Eventually([&] { return outstanding == 0; }));
  REQUIRE(Eventually([&] {
    read();
    std::lock_guard lock(mutex);
    for (const auto& payload : acknowledged) {
      if (seen.find(payload) == seen.end()) return false;
    }
    return true;
  }));
  CHECK(acknowledged.size() > 100);
  for (const auto& [payload, count] : seen) CHECK(count == 1);
  CHECK(gaps >= 3);
}
