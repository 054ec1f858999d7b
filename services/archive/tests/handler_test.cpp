// The service over gRPC, with graph-registry, crypto and repo-sync played by fakes behind the same socket.
#include "handler.h"

#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "fakes.h"
#include "pepeunit/base/bytes.h"
#include "remote_sources.h"

using namespace pepeunit;
using namespace pepeunit::archive;
using namespace std::chrono_literals;

namespace {

const std::string kUnitId = "0190163d-8694-739b-aea5-966c26f8ad91";

class FakeGraph final : public graph::v1::GraphInternalService::CallbackService {
 public:
  explicit FakeGraph(rpc::Calls& calls) : calls_(calls) {}
  grpc::ServerUnaryReactor* GetUnitPackage(grpc::CallbackServerContext* c, const graph::v1::GetUnitPackageRequest* q,
                                           graph::v1::UnitPackage* r) override {
    return calls_.Unary(c, q, r,
                        [](const rpc::Context& call, const graph::v1::GetUnitPackageRequest& request,
                           graph::v1::UnitPackage& package) -> absl::Status {
                          if (!call.caller.signed_in()) return NotFound("unit");
                          package.set_unit_id(request.unit_id());
                          package.set_unit_name("host monitor");
                          package.set_repo_unit_id("repo-1");
                          package.set_commit(kTestCommit);
                          package.set_sealed_env("sealed");
                          return absl::OkStatus();
                        });
  }

 private:
  rpc::Calls& calls_;
};

class FakeOpener final : public crypto::v1::CryptoService::CallbackService {
 public:
  explicit FakeOpener(rpc::Calls& calls) : calls_(calls) {}
  grpc::ServerUnaryReactor* Open(grpc::CallbackServerContext* c, const crypto::v1::OpenRequest* q,
                                 crypto::v1::OpenResponse* r) override {
    return calls_.Unary(c, q, r,
                        [](const rpc::Context& call, const crypto::v1::OpenRequest& request,
                           crypto::v1::OpenResponse& response) -> absl::Status {
                          if (call.caller.kind != rpc::Caller::Kind::kService || request.ciphertext() != "sealed" ||
                              request.context() != "graph.unit.env:" + kUnitId) {
                            return InvalidField("ciphertext", "was not sealed here");
                          }
                          response.set_plaintext("{\"K\":\"V\"}");
                          return absl::OkStatus();
                        });
  }

 private:
  rpc::Calls& calls_;
};

class FakeRepo final : public repo::v1::RepositoryInternalService::CallbackService {
 public:
  explicit FakeRepo(rpc::Calls& calls) : calls_(calls) {}
  grpc::ServerWriteReactor<repo::v1::TreePiece>* ReadTree(grpc::CallbackServerContext* c,
                                                          const repo::v1::ReadTreeRequest* q) override {
    return calls_.ServerStream<repo::v1::ReadTreeRequest, repo::v1::TreePiece>(
        c, q,
        [this](const rpc::Context&, const repo::v1::ReadTreeRequest& request,
               const std::function<bool(const repo::v1::TreePiece&)>& write) -> absl::Status {
          if (request.repo_unit_id() != "repo-1" || request.commit() != kTestCommit) return NotFound("version");
          for (int i = 0; i < files; ++i) {
            repo::v1::TreePiece piece;
            piece.set_path("f" + std::to_string(i));
            piece.set_size(60'000);
            piece.set_data(RandomBytes(60'000));
            if (!write(piece)) {
              stopped = true;
              return absl::CancelledError("gone");
            }
          }
          repo::v1::TreePiece schema;
          schema.set_path("schema.json");
          schema.set_size(2);
          schema.set_data("{}");
          return write(schema) ? absl::OkStatus() : absl::CancelledError("gone");
        });
  }
  std::atomic<int> files = 3;
  std::atomic<bool> stopped = false;

 private:
  rpc::Calls& calls_;
};

struct ServiceFixture {
  rpc::ServerOptions options{.address = "unix:/tmp/pepeunit-archive-test-" + std::to_string(::getpid()) + ".sock",
                             .instance_key = std::string(32, 'k')};
  rpc::Channel channel{options.address, options.instance_key};
  rpc::Calls calls{options, nullptr};
  FakeGraph graph{calls};
  FakeOpener opener{calls};
  FakeRepo repo{calls};
  RemoteSources sources{channel, channel, channel};
  Releases releases{sources, {.release = {.bytes = 16 << 20, .files = 1'000'000}}};
  UnitArchives archives{sources, releases};
  Handler handler{calls, archives};
  rpc::Server server{options, {&graph, &opener, &repo, &handler}};
  std::unique_ptr<v1::ArchiveService::Stub> stub = v1::ArchiveService::NewStub(channel.grpc());
  rpc::Caller user{.kind = rpc::Caller::Kind::kUser, .user_id = Uuid::New(), .session_id = Uuid::New()};

  ServiceFixture() { REQUIRE(server.Start().ok()); }
  ~ServiceFixture() {
    server.Shutdown(std::chrono::system_clock::now() + 2s);
    calls.Drain();
  }

  struct Downloaded {
    std::vector<common::v1::FileChunk> chunks;
    std::string zip;
    grpc::Status status;
  };
  Downloaded Download(const rpc::Caller& caller, std::size_t most = 1'000'000) {
    grpc::ClientContext context;
    channel.Prepare(context, caller, 10s);
    v1::DownloadUnitArchiveRequest request;
    request.set_unit_id(kUnitId);
    const auto reader = stub->DownloadUnitArchive(&context, request);
    Downloaded out;
    common::v1::FileChunk chunk;
    while (out.chunks.size() < most && reader->Read(&chunk)) {
      out.zip += chunk.data();
      out.chunks.push_back(chunk);
    }
    if (out.chunks.size() == most) context.TryCancel();
    out.status = reader->Finish();
    return out;
  }
};

}  // namespace

TEST_CASE("a download comes in chunks, the first of which names it", "[U6]") {
  ServiceFixture f;
  const auto got = f.Download(f.user);
  REQUIRE(got.status.ok());
  REQUIRE(got.chunks.size() > 2);
  CHECK(got.chunks[0].content_type() == "application/zip");
  CHECK(got.chunks[0].filename() == "host-monitor.zip");
  CHECK(got.chunks[1].filename().empty());
  for (const auto& chunk : got.chunks) CHECK(chunk.data().size() <= 64 * 1024);
  const Unzipped out = Unzip(got.zip);
  REQUIRE(out.ok);
  CHECK(out.order == std::vector<std::string>{"f0", "f1", "f2", "schema.json", "env.json"});
  CHECK(out.files.at("env.json") == "{\"K\":\"V\"}");
}

TEST_CASE("the graph decides by the caller, and its refusal is passed on", "[U6][A4]") {
  ServiceFixture f;
  const auto got = f.Download({});
  CHECK(got.status.error_code() == grpc::StatusCode::NOT_FOUND);
  CHECK(InfoOf(rpc::FromGrpc(got.status)).reason == "NOT_FOUND");
  CHECK(got.chunks.empty());
}

TEST_CASE("when the receiver leaves, nothing more is made", "[U6]") {
  ServiceFixture f;
  f.repo.files = 100;
  CHECK(f.Download(f.user, 3).status.error_code() == grpc::StatusCode::CANCELLED);
}

TEST_CASE("beyond the limits the repository is read no further", "[U6]") {
  ServiceFixture f;
  f.repo.files = 100'000;
  CHECK(f.Download(f.user).status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED);
  for (int i = 0; i < 250 && !f.repo.stopped; ++i) std::this_thread::sleep_for(20ms);
  CHECK(f.repo.stopped);
}
