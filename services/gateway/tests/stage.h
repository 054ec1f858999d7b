#pragma once

#include <arpa/inet.h>
#include <grpcpp/grpcpp.h>
#include <prometheus/registry.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "api.h"
#include "pepeunit/archive/v1/archive.grpc.pb.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/graph/v1/units.grpc.pb.h"
#include "pepeunit/graph/v1/watch.grpc.pb.h"
#include "pepeunit/rpc/server.h"
#include "pepeunit/rpc/status.h"

// The gateway over HTTP, with services behind it that the tests play.
namespace pepeunit::gateway {

using namespace std::chrono_literals;

inline const std::string kKey(32, 'k');

// What the services would do, seen from behind: remembers how it was called.
class FakeUnits : public graph::v1::UnitService::CallbackService {
 public:
  explicit FakeUnits(rpc::Calls& calls) : calls_(calls) {}

  grpc::ServerUnaryReactor* CreateUnit(grpc::CallbackServerContext* c, const graph::v1::CreateUnitRequest* q,
                                       graph::v1::Unit* r) override {
    return calls_.Unary(
        c, q, r, [this](const rpc::Context& x, const graph::v1::CreateUnitRequest& request, graph::v1::Unit& unit) {
          Remember(x);
          unit.set_id("77");
          unit.set_name(request.name());
          unit.set_etag("v1");
          return absl::OkStatus();
        });
  }
  grpc::ServerUnaryReactor* GetUnit(grpc::CallbackServerContext* c, const graph::v1::GetUnitRequest* q,
                                    graph::v1::Unit* r) override {
    return calls_.Unary(c, q, r,
                        [this](const rpc::Context& x, const graph::v1::GetUnitRequest& request, graph::v1::Unit& unit) {
                          Remember(x);
                          if (request.id() == "slow") std::this_thread::sleep_for(300ms);
                          if (request.id() == "none") return NotFound("unit");
                          if (request.id() == "ours") return Internal("secret detail");
                          unit.set_id(request.id());
                          unit.set_etag("v1");
                          return absl::OkStatus();
                        });
  }
  grpc::ServerUnaryReactor* DeleteUnit(grpc::CallbackServerContext* c, const graph::v1::DeleteUnitRequest* q,
                                       google::protobuf::Empty* r) override {
    return calls_.Unary(
        c, q, r, [this](const rpc::Context& x, const graph::v1::DeleteUnitRequest&, google::protobuf::Empty&) {
          Remember(x);
          return WithViolations(Error(absl::StatusCode::kFailedPrecondition, "VERSION_MISMATCH", "It has changed."),
                                {{"etag", "is old"}});
        });
  }

  rpc::Caller last() {
    std::lock_guard lock(mutex_);
    return last_;
  }

 private:
  void Remember(const rpc::Context& context) {
    std::lock_guard lock(mutex_);
    last_ = context.caller;
  }

  rpc::Calls& calls_;
  std::mutex mutex_;
  rpc::Caller last_;
};

class FakeArchive : public archive::v1::ArchiveService::CallbackService {
 public:
  explicit FakeArchive(rpc::Calls& calls) : calls_(calls) {}

  grpc::ServerWriteReactor<common::v1::FileChunk>* DownloadUnitArchive(
      grpc::CallbackServerContext* c, const archive::v1::DownloadUnitArchiveRequest* q) override {
    return calls_.ServerStream<archive::v1::DownloadUnitArchiveRequest, common::v1::FileChunk>(
        c, q, [](const rpc::Context&, const archive::v1::DownloadUnitArchiveRequest& request, const auto& write) {
          if (request.unit_id() == "none") return NotFound("unit");
          common::v1::FileChunk chunk;
          if (request.unit_id() == "parts") return SendPart(request.range(), request.has_range(), write);
          chunk.set_content_type("application/zip");
          chunk.set_filename("a\"b.zip");
          for (int i = 0; i < 40; ++i) {
            chunk.set_data(std::string(60'000, static_cast<char>('a' + i % 26)));
            if (!write(chunk)) return absl::CancelledError("gone");
            chunk.clear_content_type();
            chunk.clear_filename();
            if (request.unit_id() == "breaks" && i == 3) return Unavailable("repo-sync is gone");
          }
          return absl::OkStatus();
        });
  }

 private:
  // Of a file of ten bytes.
  template <typename Write>
  static absl::Status SendPart(const common::v1::FileRange& range, bool ranged, const Write& write) {
    common::v1::FileChunk chunk;
    chunk.set_content_type("text/plain");
    chunk.set_etag("v1");
    std::string data = "0123456789";
    if (ranged && (range.if_etag().empty() || range.if_etag() == "v1")) {
      const auto first = range.has_first() ? range.first() : 10 - range.last();
      const auto last = range.has_first() && range.has_last() ? std::min<std::int64_t>(range.last(), 9) : 9;
      chunk.mutable_part()->set_first(first);
      chunk.mutable_part()->set_total(10);
      chunk.mutable_part()->set_length(std::max<std::int64_t>(0, last + 1 - first));
      data = first > 9 ? "" : data.substr(static_cast<std::size_t>(first), static_cast<std::size_t>(last + 1 - first));
    }
    chunk.set_data(data);
    return write(chunk) ? absl::OkStatus() : absl::CancelledError("gone");
  }

  rpc::Calls& calls_;
};

// The feed of changes, whose streams the test fills.
class FakeFeed : public graph::v1::GraphFeedService::CallbackService {
 public:
  using Outlet = rpc::Outlet<graph::v1::GraphChange>;
  explicit FakeFeed(rpc::Calls& calls) : calls_(calls) {}

  grpc::ServerWriteReactor<graph::v1::GraphChange>* WatchGraph(grpc::CallbackServerContext* c,
                                                               const graph::v1::WatchGraphRequest* q) override {
    return calls_.Feed<graph::v1::WatchGraphRequest, graph::v1::GraphChange>(
        c, q, 16,
        [this](const rpc::Context&, const graph::v1::WatchGraphRequest& request, std::shared_ptr<Outlet> outlet) {
          if (request.last_event_id() == "wrong") return InvalidField("last_event_id", "is not the id of an event");
          graph::v1::GraphChange ready;
          ready.set_event_id(request.last_event_id().empty() ? "1-0" : request.last_event_id());
          ready.mutable_ready();
          outlet->Push(ready);
          std::lock_guard lock(mutex_);
          outlets_.push_back(std::move(outlet));
          return absl::OkStatus();
        });
  }

  // The stream that began as the `n`th.
  std::shared_ptr<Outlet> Nth(std::size_t n) {
    for (int i = 0; i < 500; ++i, std::this_thread::sleep_for(10ms)) {
      std::lock_guard lock(mutex_);
      if (outlets_.size() > n) return outlets_[n];
    }
    FAIL("no stream began");
    return nullptr;
  }

 private:
  rpc::Calls& calls_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<Outlet>> outlets_;
};

inline std::string TemporaryFolder() {
  std::string name = "/tmp/pepeunit-gateway-XXXXXX";
  REQUIRE(::mkdtemp(name.data()) != nullptr);
  return name;
}

struct Stage {
  std::string dir = TemporaryFolder();
  rpc::ServerOptions options{.address = "unix:" + dir + "/grpc", .instance_key = kKey};
  rpc::Calls calls{options, nullptr};
  FakeUnits units{calls};
  FakeArchive archive{calls};
  FakeFeed feed{calls};
  rpc::Server services{options, {&units, &archive, &feed}};
  rpc::Channel channel{options.address, kKey};
  prometheus::Registry registry;
  Edge edge;
  Backends backends;
  Authenticator authenticator{
      [](const Authenticator::FetchDone& done) { done(VerificationKeys{}); },
      [](const std::string&, const PersonalTokens::OpenDone& done) { done(NotFound("token")); }};
  std::unique_ptr<Api> api;
  std::unique_ptr<http::Server> server;

  explicit Stage(ApiOptions api_options = {}, std::size_t in_flight = 100, std::set<std::string> origins = {},
                 std::size_t streams = 100, http::ServerOptions http = {})
      : edge(registry, in_flight, std::move(origins), streams) {
    REQUIRE(services.Start().ok());
    backends.Add("pepeunit.graph.v1", channel);
    backends.Add("pepeunit.archive.v1", channel);
    api = std::make_unique<Api>(api_options, *LinkedRouter(), authenticator, backends, edge);
    server = std::make_unique<http::Server>(http, [this](auto exchange) { api->Handle(std::move(exchange)); });
    REQUIRE(server->Start().ok());
  }
  ~Stage() {
    server->Shutdown(std::chrono::steady_clock::now() + 5s);
    backends.Drain(std::chrono::system_clock::now() + 5s);
    services.Shutdown(std::chrono::system_clock::now());
    ::unlink((dir + "/grpc").c_str());
    ::rmdir(dir.c_str());
  }

  int Connect() const {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(server->port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    return fd;
  }
  std::string Ask(const std::string& line, const std::string& headers = "", const std::string& body = "") const {
    const int fd = Connect();
    const std::string text = line + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + headers +
                             "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    REQUIRE(::send(fd, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
    std::string answer;
    char buffer[65536];
    for (ssize_t got; (got = ::recv(fd, buffer, sizeof buffer, 0)) > 0;)
      answer.append(buffer, static_cast<std::size_t>(got));
    ::close(fd);
    return answer;
  }
};

inline int StatusOf(const std::string& answer) { return answer.size() < 12 ? 0 : std::stoi(answer.substr(9, 3)); }
inline bool Contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }
inline nlohmann::json JsonOf(const std::string& answer) {
  return nlohmann::json::parse(answer.substr(answer.find("\r\n\r\n") + 4));
}
inline const std::string kJson = "Content-Type: application/json\r\n";

}  // namespace pepeunit::gateway
