#include "pepeunit/outbox/follower.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "private_nats.h"

using namespace pepeunit;
using namespace std::chrono_literals;

namespace {

struct Events {
  bus::PrivateNats nats;
  bus::Bus bus{{.url = nats.url(), .token = "", .name = "test"}};
  std::mutex mutex;
  std::vector<std::string> units;  // as they were applied
  std::atomic<int> refuse = 0;     // so many times

  Events() { REQUIRE(bus.EnsureStream(bus::EventsStream(1), 10s).ok()); }
  void Publish(const std::string& unit) {
    bus::v1::Event event;
    event.mutable_unit_changed()->set_unit_id(unit);
    REQUIRE(bus.PublishAndWait("events.graph.unit.x", event.SerializeAsString(), {}).status.ok());
  }
  outbox::Apply Note() {
    return outbox::OneByOne([this](const bus::v1::Event& event) {
      if (refuse > 0) return --refuse, absl::UnavailableError("later");
      std::lock_guard lock(mutex);
      units.push_back(event.unit_changed().unit_id());
      return absl::OkStatus();
    });
  }
  std::vector<std::string> Applied() {
    std::lock_guard lock(mutex);
    return units;
  }
  bool Eventually(const std::vector<std::string>& wanted) {
    for (int i = 0; i < 400 && Applied() != wanted; ++i) std::this_thread::sleep_for(50ms);
    return Applied() == wanted;
  }
};

const outbox::FollowOptions kOptions{
    .durable = "test", .filter = "events.graph.unit.>", .what_waits = "units wait", .prepare = {}};
using Units = std::vector<std::string>;

}  // namespace

TEST_CASE("a follower applies what comes in order, passes over what is no event, and goes on where it was") {
  Events e;
  e.Publish("1");
  REQUIRE(e.bus.PublishAndWait("events.graph.unit.x", "\xff\xff", {}).status.ok());
  REQUIRE(e.bus.PublishAndWait("events.repo.sync.x", "of somebody else", {}).status.ok());
  e.Publish("2");
  {
    outbox::Follower follower(e.bus, kOptions, e.Note());
    follower.Start();
    CHECK(e.Eventually(Units{"1", "2"}));
  }
  e.Publish("3");
  outbox::Follower follower(e.bus, kOptions, e.Note());
  CHECK(follower.CatchUp() == absl::OkStatus());
  CHECK(e.Applied() == Units{"1", "2", "3"});
}

TEST_CASE("what could not be applied while catching up is there again at once") {
  Events e;
  outbox::Follower follower(e.bus, kOptions, e.Note());
  e.Publish("1");
  e.refuse = 1;
  CHECK(follower.CatchUp().code() == absl::StatusCode::kUnavailable);
  CHECK(follower.CatchUp() == absl::OkStatus());
  CHECK(e.Applied() == Units{"1"});
}

TEST_CASE("catching up waits for what somebody else took") {
  Events e;
  std::atomic<int> taken = 0, released = 0;
  const auto slow = [&](const std::vector<outbox::Received>& events) {
    for (const int mine = ++taken; released < mine;) std::this_thread::sleep_for(1ms);
    return e.Note()(events);
  };
  auto publish = [&, n = 0](const std::string& unit) mutable {
    e.Publish(unit);
    for (++n; taken < n;) std::this_thread::sleep_for(1ms);
  };
  outbox::Follower other(e.bus, kOptions, slow);
  other.Start();
  publish("1");
  outbox::Follower follower(e.bus, kOptions, e.Note());
  std::thread later([&] { std::this_thread::sleep_for(700ms), released = 1; });
  CHECK(follower.CatchUp() == absl::OkStatus());
  CHECK(e.Applied() == Units{"1"});
  later.join();

  // While it is not applied, nobody is told that it is.
  publish("2");
  CHECK(follower.CatchUp().code() == absl::StatusCode::kUnavailable);
  CHECK(e.Applied() == Units{"1"});
  released = 2;
  CHECK(follower.CatchUp() == absl::OkStatus());
  CHECK(e.Applied() == Units{"1", "2"});
}

TEST_CASE("a follower is prepared first, and both are tried again until they are done") {
  Events e;
  std::atomic<int> tries = 0;
  outbox::FollowOptions options = kOptions;
  options.prepare = [&]() -> absl::Status {
    CHECK(e.Applied().empty());
    return ++tries < 3 ? absl::UnavailableError("not yet") : absl::OkStatus();
  };
  outbox::Follower follower(e.bus, options, e.Note());
  e.Publish("1");
  follower.Start();
  CHECK(e.Eventually(Units{"1"}));
  CHECK(tries == 3);
  // What was not applied is not acknowledged: it comes again.
  e.refuse = 1;
  e.Publish("2");
  CHECK(e.Eventually(Units{"1", "2"}));
  CHECK_FALSE(follower.stopping());
  follower.Stop();
  CHECK(follower.stopping());
}
