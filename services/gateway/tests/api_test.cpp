#include "api.h"

#include <arpa/inet.h>
#include <grpcpp/grpcpp.h>
#include <prometheus/registry.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <mutex>
#include <nlohmann/json.hpp>

#include "pepeunit/archive/v1/archive.grpc.pb.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/graph/v1/units.grpc.pb.h"
#include "pepeunit/rpc/server.h"
#include "pepeunit/rpc/status.h"

using namespace pepeunit;
using namespace pepeunit::gateway;
using namespace std::chrono_literals;

namespace {

const std::string kKey(32, 'k');

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
  rpc::Calls& calls_;
};

std::string TemporaryFolder() {
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
  rpc::Server services{options, {&units, &archive}};
  rpc::Channel channel{options.address, kKey};
  prometheus::Registry registry;
  Edge edge;
  Backends backends;
  Authenticator authenticator{
      [](const Authenticator::FetchDone& done) { done(VerificationKeys{}); },
      [](const std::string&, const PersonalTokens::OpenDone& done) { done(NotFound("token")); }};
  std::unique_ptr<Api> api;
  std::unique_ptr<http::Server> server;

  explicit Stage(ApiOptions api_options = {}, std::size_t in_flight = 100, std::set<std::string> origins = {})
      : edge(registry, in_flight, std::move(origins)) {
    REQUIRE(services.Start().ok());
    backends.Add("pepeunit.graph.v1", channel);
    backends.Add("pepeunit.archive.v1", channel);
    api = std::make_unique<Api>(api_options, *LinkedRouter(), authenticator, backends, edge);
    http::ServerOptions http;
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

int StatusOf(const std::string& answer) { return answer.size() < 12 ? 0 : std::stoi(answer.substr(9, 3)); }
bool Contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }
nlohmann::json JsonOf(const std::string& answer) {
  return nlohmann::json::parse(answer.substr(answer.find("\r\n\r\n") + 4));
}
const std::string kJson = "Content-Type: application/json\r\n";

}  // namespace

TEST_CASE("a request becomes a call and its answer JSON") {
  Stage s;
  const auto created = s.Ask("POST /api/v1/units", kJson, R"({"name": "lamp"})");
  CHECK(StatusOf(created) == 201);
  CHECK(Contains(created, "Location: /api/v1/units/77\r\n"));
  CHECK(Contains(created, "ETag: \"v1\"\r\n"));
  CHECK(Contains(created, "X-Content-Type-Options: nosniff\r\n"));
  CHECK(JsonOf(created)["name"] == "lamp");
  CHECK(JsonOf(created)["level"] == "ACCESS_LEVEL_UNSPECIFIED");
  CHECK(s.units.last().kind == rpc::Caller::Kind::kAnonymous);
  CHECK(s.units.last().client_address == "127.0.0.1");

  CHECK(StatusOf(s.Ask("GET /api/v1/units/5")) == 200);
  CHECK(StatusOf(s.Ask("GET /api/v1/units/5", "If-None-Match: \"v1\"\r\n")) == 304);
  const auto head = s.Ask("HEAD /api/v1/units/5");
  CHECK(StatusOf(head) == 200);
  CHECK(head.ends_with("\r\n\r\n"));
}

TEST_CASE("errors of services become problems") {
  Stage s;
  const auto none = s.Ask("GET /api/v1/units/none");
  CHECK(StatusOf(none) == 404);
  CHECK(JsonOf(none)["reason"] == "NOT_FOUND");
  CHECK(JsonOf(none)["instance"] == "/api/v1/units/none");
  const auto ours = s.Ask("GET /api/v1/units/ours");
  CHECK(StatusOf(ours) == 500);
  CHECK_FALSE(Contains(ours, "secret"));
  const auto changed = s.Ask("DELETE /api/v1/units/5", "If-Match: \"v0\"\r\n");
  CHECK(StatusOf(changed) == 412);
  CHECK(JsonOf(changed)["errors"][0]["field"] == "etag");
  CHECK(s.units.last().if_match == "v0");
  // No service stands behind this part.
  CHECK(StatusOf(s.Ask("GET /api/v1/variables/5/value")) == 500);
}

TEST_CASE("what HTTP itself refuses") {
  Stage s;
  CHECK(StatusOf(s.Ask("GET /api/v1/nothing")) == 404);
  const auto wrong = s.Ask("PUT /api/v1/units/5");
  CHECK(StatusOf(wrong) == 405);
  CHECK(Contains(wrong, "Allow: DELETE, GET, HEAD, PATCH, OPTIONS\r\n"));
  CHECK(StatusOf(s.Ask("GET /api/v1/units/5", "Accept: text/html\r\n")) == 406);
  CHECK(StatusOf(s.Ask("POST /api/v1/units", "Content-Type: text/plain\r\n", "{}")) == 415);
  CHECK(StatusOf(s.Ask("POST /api/v1/units", kJson, "{")) == 400);
  CHECK(StatusOf(s.Ask("POST /api/v1/units", kJson, std::string((1 << 20) + 1, ' '))) == 413);
  CHECK(StatusOf(s.Ask("GET /api/v1/units/5", "If-Match: 7\r\n")) == 400);
  const auto unsigned_in = s.Ask("GET /api/v1/units/5", "Authorization: Bearer nonsense\r\n");
  CHECK(StatusOf(unsigned_in) == 401);
  CHECK(Contains(unsigned_in, "WWW-Authenticate: Bearer"));
  CHECK(StatusOf(s.Ask("OPTIONS /api/v1/units")) == 204);
  CHECK(StatusOf(s.Ask("POST /api/docs")) == 405);
}

TEST_CASE("a slow service is given up, and too many requests are refused") {
  Stage slow(ApiOptions{.call_timeout = 50ms});
  CHECK(StatusOf(slow.Ask("GET /api/v1/units/slow")) == 503);
  Stage full({}, 0);
  const auto busy = full.Ask("GET /api/v1/units/5");
  CHECK(StatusOf(busy) == 503);
  CHECK(Contains(busy, "Retry-After: 1\r\n"));
}

TEST_CASE("a file is streamed", "[U6]") {
  Stage s;
  const auto whole = s.Ask("GET /api/v1/units/5/archive");
  CHECK(StatusOf(whole) == 200);
  CHECK(Contains(whole, "Content-Type: application/zip\r\n"));
  CHECK(Contains(whole, "Content-Disposition: attachment; filename=\"a_b.zip\""));
  CHECK(whole.size() > 40 * 60'000);
  CHECK(whole.ends_with("\r\n0\r\n\r\n"));
  CHECK(StatusOf(s.Ask("GET /api/v1/units/none/archive")) == 404);
  CHECK(StatusOf(s.Ask("HEAD /api/v1/units/5/archive")) == 200);
  const auto broken = s.Ask("GET /api/v1/units/breaks/archive");
  CHECK(StatusOf(broken) == 200);
  CHECK_FALSE(broken.ends_with("\r\n0\r\n\r\n"));
}

TEST_CASE("a download ends when the client goes", "[U6]") {
  Stage s;
  const int fd = s.Connect();
  const std::string text = "GET /api/v1/units/5/archive HTTP/1.1\r\nHost: x\r\n\r\n";
  REQUIRE(::send(fd, text.data(), text.size(), MSG_NOSIGNAL) > 0);
  char first;
  REQUIRE(::recv(fd, &first, 1, 0) == 1);
  const linger now{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  ::close(fd);
  for (int i = 0; i < 250 && s.edge.in_flight != 0; ++i) std::this_thread::sleep_for(20ms);
  CHECK(s.edge.in_flight == 0);
}

TEST_CASE("a gateway that stops makes no new calls") {
  Stage s;
  s.backends.Drain(std::chrono::system_clock::now());
  CHECK(StatusOf(s.Ask("GET /api/v1/units/5")) == 503);
  CHECK(StatusOf(s.Ask("GET /api/v1/units/5/archive")) == 503);
}

TEST_CASE("other origins are admitted only when named") {
  Stage closed;
  CHECK_FALSE(Contains(closed.Ask("GET /api/v1/units/5", "Origin: https://a.example\r\n"), "Access-Control"));
  Stage open({}, 100, {"https://a.example"});
  CHECK(Contains(open.Ask("GET /api/v1/units/5", "Origin: https://a.example\r\n"),
                 "Access-Control-Allow-Origin: https://a.example\r\n"));
  CHECK_FALSE(
      Contains(open.Ask("GET /api/v1/units/5", "Origin: https://b.example\r\n"), "Access-Control-Allow-Origin"));
  CHECK(Contains(open.Ask("OPTIONS /api/v1/units/5", "Origin: https://a.example\r\n"),
                 "Access-Control-Allow-Methods: DELETE, GET"));
}

TEST_CASE("the client's address is a proxy's word only when it is trusted") {
  const std::string forged = "X-Forwarded-For: 1.2.3.4, 9.8.7.6\r\n";
  Stage direct;
  direct.Ask("GET /api/v1/units/5", forged);
  CHECK(direct.units.last().client_address == "127.0.0.1");
  Stage behind(ApiOptions{.trusted_proxy = true});
  behind.Ask("GET /api/v1/units/5", forged);
  CHECK(behind.units.last().client_address == "9.8.7.6");
  behind.Ask("GET /api/v1/units/5", forged + "X-Forwarded-For: 5.5.5.5\r\n");
  CHECK(behind.units.last().client_address == "5.5.5.5");
  behind.Ask("GET /api/v1/units/5", "X-Forwarded-For: nonsense\r\n");
  CHECK(behind.units.last().client_address == "127.0.0.1");
}
