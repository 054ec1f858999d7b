#include "change_feed.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <thread>

#include "handlers.h"
#include "pepeunit/rpc/client.h"
#include "postgres_feed.h"
#include "world.h"

using namespace pepeunit;
using namespace pepeunit::graph_registry;
using namespace std::chrono_literals;

namespace {

using graph::v1::GraphChange;
const std::string kFeedKey(32, 'k');

// The feed behind a socket, as the gateway sees it.
struct ServedFeed : World {
  explicit ServedFeed(const FeedLimits& limits = {}) : feed(store_of_changes, callers, limits) {
    REQUIRE(server.Start().ok());
    feed.Start();
  }
  ~ServedFeed() {
    feed.Stop();
    server.Shutdown(std::chrono::system_clock::now() + 2s);
    calls.Drain();
  }

  PostgresFeed store_of_changes{pool};
  Callers callers{people};
  ChangeFeed feed;
  rpc::ServerOptions options{.address = "unix:/tmp/pepeunit-feed-test-" + std::to_string(::getpid()) + ".sock",
                             .instance_key = kFeedKey,
                             .threads = 2};
  rpc::Calls calls{options, nullptr};
  FeedHandler handler{calls, callers, feed};
  rpc::Server server{options, {&handler}};
  rpc::Channel channel{options.address, kFeedKey};
  std::unique_ptr<graph::v1::GraphFeedService::Stub> stub = graph::v1::GraphFeedService::NewStub(channel.grpc());
  rpc::Caller owner = User("owner"), friendly = User("friendly");
};

class FeedStream {
 public:
  FeedStream(ServedFeed& f, const rpc::Caller& caller, const std::string& last = "") {
    f.channel.Prepare(context_, caller, 60s);
    graph::v1::WatchGraphRequest request;
    request.set_last_event_id(last);
    reader_ = f.stub->WatchGraph(&context_, request);
  }
  ~FeedStream() { (void)End(); }

  // The next message that is no heartbeat; false at the end.
  bool Next(GraphChange* change) {
    do {
      if (!reader_->Read(change)) return false;
      last_ = change->event_id();
    } while (change->has_heartbeat());
    return true;
  }
  GraphChange Next() {
    GraphChange change;
    REQUIRE(Next(&change));
    return change;
  }
  // Of this node, skipping others.
  GraphChange NextOf(const std::string& node) {
    for (;;) {
      GraphChange change = Next();
      if (change.node_changed().node().id() == node || change.node_removed().id() == node) return change;
    }
  }
  bool Read(GraphChange* change) { return reader_->Read(change); }
  const std::string& last() const { return last_; }

  // Hangs up, or waits for the end that the other side made.
  absl::Status End(bool hang_up = true) {
    if (ended_) return {};
    ended_ = true;
    if (hang_up) context_.TryCancel();
    GraphChange change;
    while (reader_->Read(&change)) ++after_;
    return rpc::FromGrpc(reader_->Finish());
  }
  int after() const { return after_; }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<GraphChange>> reader_;
  std::string last_;
  bool ended_ = false;
  int after_ = 0;
};

// Changes the node as nobody but the storage would.
void RenameNode(World& w, const std::string& node, const std::string& name) {
  REQUIRE(w.pool.Transact("rename", [&](pqxx::work& tx) {
    tx.exec_params("UPDATE node SET name = $2, version = version + 1 WHERE id = $1", node, name);
    return absl::OkStatus();
  }) == absl::OkStatus());
}

}  // namespace

TEST_CASE("a stream begins with where it stands, tells what comes, and goes on after a disconnect", "[G1]") {
  ServedFeed f;
  std::string last;
  const auto repo = f.Repo(f.owner);
  {
    FeedStream stream(f, f.owner);
    CHECK(stream.Next().has_ready());
    RenameNode(f, repo.id(), "one");
    CHECK(stream.NextOf(repo.id()).node_changed().node().name() == "one");
    last = stream.last();
  }
  const auto unit = f.Unit(f.owner, repo);
  FeedStream stream(f, f.owner, last);
  const GraphChange ready = stream.Next();
  CHECK(ready.has_ready());
  CHECK(ready.event_id() == last);
  std::set<std::string> missed;
  while (missed.size() < 7) missed.insert(stream.Next().node_changed().node().id());
  CHECK(missed.contains(unit.id()));
  CHECK_FALSE(missed.contains(repo.id()));
  RenameNode(f, repo.id(), "two");
  CHECK(stream.Next().node_changed().node().name() == "two");
}

TEST_CASE("an id that never was one is refused by its name, a lost one begins anew", "[G1]") {
  ServedFeed f;
  FeedStream wrong(f, f.owner, "yesterday");
  const absl::Status refused = wrong.End(false);
  CHECK(refused.code() == absl::StatusCode::kInvalidArgument);
  CHECK(Violations(refused) == "last_event_id");
  FeedStream future(f, f.owner, "18446744073709551615-1");
  CHECK(future.Next().has_reset());
  const auto repo = f.Repo(f.owner);
  REQUIRE(f.pool.Transact("age", [](pqxx::work& tx) {
    tx.exec("UPDATE graph_change SET at = at - interval '25 hours'");
    return absl::OkStatus();
  }) == absl::OkStatus());
  REQUIRE(f.store_of_changes.Forget(24).value() > 0);
  FeedStream old(f, f.owner, "1-1");
  CHECK(old.Next().has_reset());
  RenameNode(f, repo.id(), "after");
  CHECK(old.NextOf(repo.id()).node_changed().node().name() == "after");
}

TEST_CASE("who goes on from before he was there begins anew", "[A4]") {
  ServedFeed f;
  const auto repo = f.Repo(f.owner);
  FeedStream own(f, f.owner);
  const std::string old = own.Next().event_id();
  f.Repo(f.owner);
  const rpc::Caller newcomer = f.User("newcomer");
  FeedStream stream(f, newcomer, old);
  CHECK(stream.Next().has_reset());
  FeedStream again(f, f.owner, old);
  CHECK(again.Next().has_ready());
}

TEST_CASE("a heartbeat moves the id past what the caller does not see", "[G1]") {
  ServedFeed f({.heartbeat = 100ms});
  FeedStream stream(f, f.friendly);
  const FeedPlace begin = *FeedPlace::Parse(stream.Next().event_id());
  f.Repo(f.owner, common::v1::ACCESS_LEVEL_PRIVATE);
  for (;;) {
    GraphChange change;
    REQUIRE(stream.Read(&change));
    REQUIRE(change.has_heartbeat());
    if (*FeedPlace::Parse(change.event_id()) > begin) break;
  }
}

TEST_CASE("a session that ends takes its stream with it, and nothing is told any more", "[A5][G1]") {
  ServedFeed f;
  const auto repo = f.Repo(f.owner);
  FeedStream idle(f, f.friendly), busy(f, f.owner), other(f, {});
  CHECK(idle.Next().has_ready());
  CHECK(busy.Next().has_ready());
  CHECK(other.Next().has_ready());
  REQUIRE(f.people.SetBlocked({}, f.owner.user_id, true, false) == absl::OkStatus());
  REQUIRE(f.people.SetBlocked({}, f.friendly.user_id, true, false) == absl::OkStatus());
  RenameNode(f, repo.id(), "unseen");
  CHECK(busy.End(false).code() == absl::StatusCode::kUnauthenticated);
  CHECK(busy.after() == 0);
  CHECK(idle.End(false).code() == absl::StatusCode::kUnauthenticated);
  CHECK(idle.after() == 0);
  CHECK(other.NextOf(repo.id()).node_changed().node().name() == "unseen");
}

TEST_CASE("an administrator who is one no more loads anew what he may see", "[A5][G1]") {
  ServedFeed f;
  const auto administrator = f.User("administrator", true);
  const auto repo = f.Repo(f.owner, common::v1::ACCESS_LEVEL_PRIVATE);
  FeedStream stream(f, administrator);
  CHECK(stream.Next().has_ready());
  REQUIRE(f.pool.Transact("demote", [](pqxx::work& tx) {
    tx.exec("UPDATE account SET administrator = false");
    return absl::OkStatus();
  }) == absl::OkStatus());
  RenameNode(f, repo.id(), "unseen");
  CHECK(stream.Next().has_reset());
  const auto open = f.Repo(f.owner);
  const GraphChange next = stream.Next();
  const std::string shown = next.node_changed().node().id();
  CHECK((shown == open.id() || shown == administrator.user_id.ToString()));
}

TEST_CASE("so many may watch, in all and each", "[G1]") {
  ServedFeed f({.watchers = 3, .each = 2});
  FeedStream first(f, f.owner);
  auto second = std::make_unique<FeedStream>(f, f.owner);
  CHECK(first.Next().has_ready());
  CHECK(second->Next().has_ready());
  FeedStream third(f, f.owner);
  const absl::Status refused = third.End(false);
  CHECK(refused.code() == absl::StatusCode::kResourceExhausted);
  CHECK(InfoOf(refused).retry_after_ms > 0);
  FeedStream other(f, f.friendly);
  CHECK(other.Next().has_ready());
  FeedStream anonymous(f, {});
  CHECK(anonymous.End(false).code() == absl::StatusCode::kResourceExhausted);
  second.reset();
  for (int i = 0;; ++i) {
    FeedStream again(f, f.owner);
    GraphChange change;
    if (again.Next(&change)) break;
    REQUIRE(i < 200);
    std::this_thread::sleep_for(50ms);
  }
}

TEST_CASE("who reads slowly holds up nobody, gets everything late, and is ended when he takes nothing", "[G1]") {
  ServedFeed f({.patience = 3'000ms});
  const auto repo = f.Repo(f.owner);
  // Not opened by Calls, so nobody takes what waits in it.
  auto stuck = std::make_shared<ChangeFeed::Outlet>(ChangeFeed::kQueue);
  REQUIRE(f.feed.Watch(f.owner, {}, stuck) == absl::OkStatus());
  FeedStream stream(f, f.owner);
  CHECK(stream.Next().has_ready());
  std::set<std::string> made;
  for (int i = 0; i < 80; ++i) made.insert(f.Unit(f.owner, repo).id());
  while (!made.empty()) made.erase(stream.Next().node_changed().node().id());
  CHECK(stuck->room() > 0);  // nothing was pushed that had no room
  for (int i = 0; i < 400 && !stuck->over(); ++i) std::this_thread::sleep_for(50ms);
  CHECK(stuck->over());
}

TEST_CASE("many who come back with an old id are told all of it in order", "[G1]") {
  ServedFeed f({.each = 100});
  const auto repo = f.Repo(f.owner);
  const auto begin = f.store_of_changes.Bounds({})->now.ToString();
  for (int i = 0; i < 60; ++i) f.Unit(f.owner, repo);
  std::vector<std::unique_ptr<FeedStream>> streams;
  for (int i = 0; i < 20; ++i) streams.push_back(std::make_unique<FeedStream>(f, f.owner, begin));
  for (auto& stream : streams) {
    std::set<std::string> nodes;
    FeedPlace last;
    while (nodes.size() < 60 * 7) {
      const GraphChange change = stream->Next();
      REQUIRE(*FeedPlace::Parse(change.event_id()) >= last);
      last = *FeedPlace::Parse(change.event_id());
      if (change.has_node_changed()) nodes.insert(change.node_changed().node().id());
    }
  }
}

TEST_CASE("a stream has its longest life, and a stop ends all at once", "[G1]") {
  {
    ServedFeed f({.life = 300ms});
    FeedStream stream(f, f.owner);
    CHECK(stream.Next().has_ready());
    CHECK(stream.End(false) == absl::OkStatus());
  }
  ServedFeed f;
  FeedStream stream(f, f.owner);
  CHECK(stream.Next().has_ready());
  f.feed.Stop();
  CHECK(stream.End(false).code() == absl::StatusCode::kUnavailable);
  FeedStream late(f, f.owner);
  CHECK(late.End(false).code() == absl::StatusCode::kUnavailable);
}
