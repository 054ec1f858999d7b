#include "handler.h"

#include <unistd.h>

#include <catch2/catch.hpp>

#include "memory_key_store.h"
#include "pepeunit/rpc/client.h"

using namespace pepeunit;
using namespace pepeunit::crypto;
using namespace std::chrono_literals;

namespace {

struct ServerFixture {
  MemoryKeyStore store;
  std::unique_ptr<KeyRing> ring = TestRing(store);
  Sealer sealer{*ring};
  Passwords passwords{1};
  AccessTokens access_tokens{*ring};
  UnitTokens unit_tokens{*ring};
  Api api{sealer, passwords, access_tokens, unit_tokens};
  rpc::ServerOptions options{.address = "unix:/tmp/pepeunit-crypto-test-" + std::to_string(::getpid()) + ".sock",
                             .instance_key = std::string(32, 'k')};
  rpc::ServerOptions password_options{.address = {}, .instance_key = std::string(32, 'k'), .threads = 1, .queue = 4};
  rpc::Calls calls{options, nullptr}, password_calls{password_options, nullptr};
  Handler handler{calls, password_calls, api};
  rpc::Server server{options, {&handler}};
  rpc::Channel channel{options.address, options.instance_key};
  std::unique_ptr<v1::CryptoService::Stub> stub = v1::CryptoService::NewStub(channel.grpc());

  ServerFixture() { REQUIRE(server.Start().ok()); }
  ~ServerFixture() {
    server.Shutdown(std::chrono::system_clock::now() + 2s);
    calls.Drain();
    password_calls.Drain();
  }
};

}  // namespace

TEST_CASE("the largest field and every error go over the wire", "[U5]") {
  ServerFixture f;
  v1::SealRequest seal;
  seal.set_plaintext(std::string(Sealer::kMaxPlaintext, 'x'));
  seal.set_context("a:b");
  const auto sealed = rpc::Call<v1::SealResponse>(f.channel, rpc::Caller::Service(), 5s,
                                                  [&](auto* c, auto* r) { return f.stub->Seal(c, seal, r); });
  REQUIRE(sealed.ok());
  v1::OpenRequest open;
  open.set_ciphertext(sealed->ciphertext());
  open.set_context("a:c");
  const auto moved = rpc::Call<v1::OpenResponse>(f.channel, rpc::Caller::Service(), 5s,
                                                 [&](auto* c, auto* r) { return f.stub->Open(c, open, r); });
  CHECK(moved.status().code() == absl::StatusCode::kInvalidArgument);
  v1::OpenUnitTokenRequest token;
  token.set_token("x");
  const auto opened = rpc::Call<v1::OpenUnitTokenResponse>(
      f.channel, rpc::Caller::Service(), 5s, [&](auto* c, auto* r) { return f.stub->OpenUnitToken(c, token, r); });
  CHECK(opened.status().code() == absl::StatusCode::kUnauthenticated);
}

TEST_CASE("passwords that come at once wait their turn, and fields do not wait for them") {
  ServerFixture f;
  v1::HashPasswordRequest hash;
  hash.set_password("a long password");
  std::atomic<int> hashed = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      hashed += rpc::Call<v1::HashPasswordResponse>(f.channel, rpc::Caller::Service(), 30s, [&](auto* c, auto* r) {
                  return f.stub->HashPassword(c, hash, r);
                }).ok();
    });
  }
  v1::SealRequest seal;
  seal.set_plaintext("x");
  seal.set_context("a:b");
  for (int i = 0; i < 20; ++i) {
    CHECK(rpc::Call<v1::SealResponse>(f.channel, rpc::Caller::Service(), 2s, [&](auto* c, auto* r) {
            return f.stub->Seal(c, seal, r);
          }).ok());
  }
  for (auto& thread : threads) thread.join();
  CHECK(hashed == 4);
}
