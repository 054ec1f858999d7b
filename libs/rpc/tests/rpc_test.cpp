#include <prometheus/registry.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <mutex>
#include <thread>

#include "pepeunit/base/errors.h"
#include "pepeunit/base/trace.h"
#include "pepeunit/crypto/v1/crypto.grpc.pb.h"
#include "pepeunit/repo/v1/repositories.grpc.pb.h"
#include "pepeunit/rpc/client.h"
#include "pepeunit/rpc/server.h"

using namespace pepeunit;
using namespace std::chrono_literals;
namespace cpb = pepeunit::crypto::v1;
namespace rpb = pepeunit::repo::v1;

namespace {

const std::string kKey(32, 'k');

class FakeCrypto final : public cpb::CryptoService::CallbackService {
 public:
  explicit FakeCrypto(rpc::Calls& calls) : calls_(calls) {}
  grpc::ServerUnaryReactor* Open(grpc::CallbackServerContext* c, const cpb::OpenRequest* q,
                                 cpb::OpenResponse* r) override {
    return calls_.Unary(
        c, q, r,
        [this](const rpc::Context& x, const cpb::OpenRequest& request, cpb::OpenResponse& response) -> absl::Status {
          ++opened;
          if (request.context() == "slow") std::this_thread::sleep_for(300ms);
          if (request.context() == "bad") return WithRetryAfter(InvalidField("context", "is bad"), 2500);
          if (request.context() == "fault") return absl::InternalError("driver said: password=x");
          response.set_plaintext(rpc::FormatCaller(x.caller) + "|" + x.caller.if_match + "|" +
                                 CurrentTrace().TraceIdHex());
          return absl::OkStatus();
        });
  }
  std::atomic<int> opened = 0;

 private:
  rpc::Calls& calls_;
};

class FakeTrees final : public rpb::RepositoryInternalService::CallbackService {
 public:
  explicit FakeTrees(rpc::Calls& calls) : calls_(calls) {}
  grpc::ServerWriteReactor<rpb::TreePiece>* ReadTree(grpc::CallbackServerContext* c,
                                                     const rpb::ReadTreeRequest* q) override {
    if (q->commit() == "feed" || q->commit() == "refused") {
      return calls_.Feed<rpb::ReadTreeRequest, rpb::TreePiece>(
          c, q, kMost,
          [this](const rpc::Context&, const rpb::ReadTreeRequest& request, std::shared_ptr<Pieces> outlet) {
            if (request.commit() == "refused") return NotFound("feed");
            std::lock_guard lock(mutex);
            outlets.push_back(std::move(outlet));
            return absl::OkStatus();
          });
    }
    return calls_.ServerStream<rpb::ReadTreeRequest, rpb::TreePiece>(
        c, q,
        [this](const rpc::Context&, const rpb::ReadTreeRequest& request,
               const std::function<bool(const rpb::TreePiece&)>& write) -> absl::Status {
          const int count = request.commit() == "endless" ? 1'000'000 : 20;
          rpb::TreePiece piece;
          piece.set_data(std::string(60'000, 'x'));
          for (int i = 0; i < count; ++i) {
            if (!write(piece)) {
              gone = true;
              return absl::CancelledError("gone");
            }
          }
          return request.commit() == "broken" ? NotFound("commit") : absl::OkStatus();
        });
  }
  std::atomic<bool> gone = false;

  using Pieces = rpc::Outlet<rpb::TreePiece>;
  static constexpr std::size_t kMost = 8;
  std::mutex mutex;
  std::vector<std::shared_ptr<Pieces>> outlets;

  std::vector<std::shared_ptr<Pieces>> Outlets(std::size_t count) {
    for (int i = 0; i < 500; ++i) {
      {
        std::lock_guard lock(mutex);
        if (outlets.size() >= count) return outlets;
      }
      std::this_thread::sleep_for(10ms);
    }
    FAIL("no outlet");
    return {};
  }

 private:
  rpc::Calls& calls_;
};

struct Fixture {
  rpc::ServerOptions options;
  prometheus::Registry metrics;
  rpc::Calls calls{options, &metrics};
  FakeCrypto fake{calls};
  FakeTrees trees{calls};
  rpc::Server server{options, {&fake, &trees}};
  rpc::Channel channel{options.address, kKey};
  std::unique_ptr<cpb::CryptoService::Stub> stub = cpb::CryptoService::NewStub(channel.grpc());

  explicit Fixture(rpc::ServerOptions o = {.threads = 2, .queue = 2}) : options(WithAddress(std::move(o))) {
    REQUIRE(server.Start().ok());
  }
  static rpc::ServerOptions WithAddress(rpc::ServerOptions options) {
    options.address = "unix:/tmp/pepeunit-rpc-test-" + std::to_string(::getpid()) + ".sock";
    options.instance_key = kKey;
    return options;
  }
  ~Fixture() {
    server.Shutdown(std::chrono::system_clock::now() + 2s);
    calls.Drain();
  }
  absl::StatusOr<cpb::OpenResponse> Open(const std::string& context, const rpc::Caller& caller = {},
                                         std::chrono::milliseconds timeout = 5s) {
    cpb::OpenRequest request;
    request.set_context(context);
    return rpc::Call<cpb::OpenResponse>(channel, caller, timeout,
                                        [&](auto* c, auto* r) { return stub->Open(c, request, r); });
  }
};

}  // namespace

TEST_CASE("caller, If-Match and trace travel with a call") {
  Fixture f;
  const TraceScope trace(TraceContext::New());
  rpc::Caller caller{.kind = rpc::Caller::Kind::kUser,
                     .user_id = Uuid::New(),
                     .session_id = Uuid::New(),
                     .administrator = true,
                     .if_match = "7"};
  const auto answer = f.Open("x", caller);
  REQUIRE(answer.ok());
  CHECK(answer->plaintext() == rpc::FormatCaller(caller) + "|7|" + CurrentTrace().TraceIdHex());
  CHECK(rpc::ParseCaller(rpc::FormatCaller(caller))->user_id == caller.user_id);
}

TEST_CASE("a service is ready when it says so, and not when it hangs or is away") {
  const std::string path = "/tmp/pepeunit-rpc-hung-" + std::to_string(::getpid()) + ".sock";
  const rpc::Channel away("unix:" + path, kKey);
  CHECK(away.Check().message().find("does not answer") != std::string::npos);
  {
    Fixture f;
    CHECK(f.channel.Check().message().find("is not ready itself") != std::string::npos);
    f.server.SetServing(true);
    CHECK(f.channel.Check() == absl::OkStatus());
    f.server.SetServing(false);
    CHECK_FALSE(f.channel.Check().ok());
  }
  // One that was stopped: it has the connection, and says nothing.
  const int hung = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  REQUIRE(::bind(hung, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  REQUIRE(::listen(hung, 8) == 0);
  const rpc::Channel silent("unix:" + path, kKey);
  CHECK(silent.Check().message().find("does not answer") != std::string::npos);
  ::close(hung);
  ::unlink(path.c_str());
}

TEST_CASE("malformed callers are refused") {
  for (const char* text : {"user", "user:x:y", "admin",
                           "user:0190163d-8694-739b-aea5-966c26f8ad91:0190163d-8694-739b-aea5-966c26f8ad91:root"}) {
    CHECK_FALSE(rpc::ParseCaller(text).ok());
  }
}

TEST_CASE("an error keeps its reason, fields and time; ours hides its text") {
  Fixture f;
  const absl::Status bad = f.Open("bad").status();
  CHECK(bad.code() == absl::StatusCode::kInvalidArgument);
  CHECK(InfoOf(bad).reason == "INVALID_FIELD");
  CHECK(InfoOf(bad).retry_after_ms == 2500);
  REQUIRE(InfoOf(bad).violations.size() == 1);
  CHECK(InfoOf(bad).violations[0].field == "context");
  const absl::Status fault = f.Open("fault").status();
  CHECK(fault.code() == absl::StatusCode::kInternal);
  CHECK(std::string(fault.message()).find("password") == std::string::npos);
}

TEST_CASE("without the instance key nothing is called") {
  Fixture f;
  const rpc::Channel stranger(f.options.address, std::string(32, 'x'));
  auto stub = cpb::CryptoService::NewStub(stranger.grpc());
  const auto answer =
      rpc::Call<cpb::OpenResponse>(stranger, {}, 5s, [&](auto* c, auto* r) { return stub->Open(c, {}, r); });
  CHECK(answer.status().code() == absl::StatusCode::kUnauthenticated);
  CHECK(f.fake.opened == 0);
}

TEST_CASE("a full queue is RESOURCE_EXHAUSTED, and an absent server UNAVAILABLE") {
  Fixture f;
  std::vector<std::thread> threads;
  std::atomic<int> refused = 0, served = 0;
  for (int i = 0; i < 10; ++i) {
    threads.emplace_back([&] {
      const auto answer = f.Open("slow");
      if (answer.ok())
        ++served;
      else if (answer.status().code() == absl::StatusCode::kResourceExhausted)
        ++refused;
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(served + refused == 10);
  CHECK(served >= 2);
  CHECK(refused >= 1);
  const rpc::Channel nobody("unix:/tmp/pepeunit-nobody.sock", kKey);
  auto stub = cpb::CryptoService::NewStub(nobody.grpc());
  CHECK(rpc::Call<cpb::OpenResponse>(nobody, {}, 1s, [&](auto* c, auto* r) { return stub->Open(c, {}, r); })
            .status()
            .code() == absl::StatusCode::kUnavailable);
}

TEST_CASE("one user or address has a share of the places, and the others the rest") {
  Fixture f({.threads = 2, .queue = 20, .share = 3});
  rpc::Caller anna{.kind = rpc::Caller::Kind::kUser, .user_id = Uuid::New(), .session_id = Uuid::New()}, nobody;
  nobody.client_address = "192.0.2.1";
  std::atomic<int> refused = 0, served = 0, others = 0;
  std::vector<std::thread> threads;
  for (const rpc::Caller& caller : {anna, nobody}) {
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&, caller] {
        const auto answer = f.Open("slow", caller);
        (answer.ok() ? served : answer.status().code() == absl::StatusCode::kResourceExhausted ? refused : others)++;
      });
    }
  }
  for (auto& thread : threads) thread.join();
  CHECK(others == 0);
  CHECK(served >= 6);
  CHECK(refused >= 2);
  // What ended counts no more; services themselves are not bound.
  CHECK(f.Open("slow", anna).ok());
  threads.clear();
  served = 0;
  for (int i = 0; i < 8; ++i) threads.emplace_back([&] { served += f.Open("slow", rpc::Caller::Service()).ok(); });
  for (auto& thread : threads) thread.join();
  CHECK(served == 8);
}

TEST_CASE("a receiver that takes nothing is cut, and its thread free again") {
  Fixture f({.threads = 1, .patience = 300ms});
  auto stub = rpb::RepositoryInternalService::NewStub(f.channel.grpc());
  grpc::ClientContext context;
  f.channel.Prepare(context, {}, 60s);
  rpb::ReadTreeRequest request;
  request.set_commit("endless");
  auto reader = stub->ReadTree(&context, request);
  rpb::TreePiece piece;
  REQUIRE(reader->Read(&piece));  // it has begun
  CHECK(f.Open("x").ok());        // waits for the one thread
  CHECK(f.trees.gone);
  while (reader->Read(&piece)) {
  }
  CHECK_FALSE(reader->Finish().ok());
}

TEST_CASE("a stream arrives whole, ends with its status, and stops when the caller goes") {
  Fixture f;
  auto stub = rpb::RepositoryInternalService::NewStub(f.channel.grpc());
  const auto read = [&](const std::string& commit, int most) {
    grpc::ClientContext context;
    f.channel.Prepare(context, {}, 5s);
    rpb::ReadTreeRequest request;
    request.set_commit(commit);
    auto reader = stub->ReadTree(&context, request);
    rpb::TreePiece piece;
    int count = 0;
    while (count < most && reader->Read(&piece)) ++count;
    if (count == most) context.TryCancel();
    return std::pair(count, reader->Finish());
  };
  auto [whole, ok] = read("good", 1000);
  CHECK(whole == 20);
  CHECK(ok.ok());
  auto [some, error] = read("broken", 1000);
  CHECK(some == 20);
  CHECK(error.error_code() == grpc::StatusCode::NOT_FOUND);
  read("endless", 3);
  for (int i = 0; i < 100 && !f.trees.gone; ++i) std::this_thread::sleep_for(20ms);
  CHECK(f.trees.gone);
}

TEST_CASE("a feed holds no thread, and is bounded, ended and left from either side") {
  Fixture f;
  auto stub = rpb::RepositoryInternalService::NewStub(f.channel.grpc());
  struct Feed {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReader<rpb::TreePiece>> reader;
    rpb::TreePiece piece;
  };
  const auto open = [&](const std::string& commit) {
    auto feed = std::make_unique<Feed>();
    f.channel.Prepare(feed->context, {}, 30s);
    rpb::ReadTreeRequest request;
    request.set_commit(commit);
    feed->reader = stub->ReadTree(&feed->context, request);
    return feed;
  };
  std::vector<std::unique_ptr<Feed>> feeds;
  for (std::size_t i = 0; i < 5; ++i) {
    feeds.push_back(open("feed"));
    f.trees.Outlets(i + 1);  // two threads and a queue of two take one after the other
  }
  const auto outlets = f.trees.Outlets(5);
  CHECK(f.Open("x").ok());
  rpb::TreePiece piece;
  piece.set_data("piece");
  for (const auto& outlet : outlets) REQUIRE(outlet->Push(piece));
  for (const auto& feed : feeds) {
    REQUIRE(feed->reader->Read(&feed->piece));
    CHECK(feed->piece.data() == "piece");
  }
  // One who does not read: flow control stops it, what waits is bounded, and the end comes before what waited.
  piece.set_data(std::string(1 << 20, 'x'));
  int pushed = 0;
  while (outlets[0]->Push(piece)) REQUIRE(++pushed < 1000);
  CHECK(outlets[0]->room() == 0);
  CHECK_FALSE(outlets[0]->over());
  outlets[0]->End(NotFound("rest"));
  CHECK(outlets[0]->over());
  CHECK_FALSE(outlets[0]->Push(piece));
  int read = 0;
  while (feeds[0]->reader->Read(&feeds[0]->piece)) ++read;
  CHECK(read < pushed);
  CHECK(feeds[0]->reader->Finish().error_code() == grpc::StatusCode::NOT_FOUND);

  outlets[1]->End(absl::OkStatus());
  CHECK_FALSE(feeds[1]->reader->Read(&feeds[1]->piece));
  CHECK(feeds[1]->reader->Finish().ok());

  feeds[2]->context.TryCancel();
  for (int i = 0; i < 500 && !outlets[2]->over(); ++i) std::this_thread::sleep_for(10ms);
  CHECK(outlets[2]->over());

  auto refused = open("refused");
  CHECK_FALSE(refused->reader->Read(&refused->piece));
  CHECK(refused->reader->Finish().error_code() == grpc::StatusCode::NOT_FOUND);
  for (std::size_t i : {std::size_t{3}, std::size_t{4}}) {
    outlets[i]->End(absl::OkStatus());
    CHECK(feeds[i]->reader->Finish().ok());
  }
  feeds[2]->reader->Finish();
}
