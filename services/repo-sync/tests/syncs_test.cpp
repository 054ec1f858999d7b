#include "syncs.h"

#include <catch2/catch.hpp>
#include <functional>
#include <thread>

#include "migrations.h"
#include "postgres_store.h"
#include "private_postgres.h"
#include "remote.h"

using namespace pepeunit;
using namespace pepeunit::repo_sync;

namespace {

struct Box final : CredentialBox {
  absl::StatusOr<Credentials> Open(const Uuid&, const std::string& sealed) override {
    return Credentials{"ada", sealed};
  }
};

bool Eventually(const std::function<bool()>& holds) {
  for (int i = 0; i < 200; ++i) {
    if (holds()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return false;
}

}  // namespace

TEST_CASE("repositories are cloned, synced on request, mended and removed", "[R2][R6]") {
  postgres::PrivatePostgres server;
  const std::string schema = server.NewSchema();
  postgres::Pool pool({.dsn = server.dsn(), .schema = schema});
  REQUIRE(postgres::ApplyMigrations(pool, schema, kMigrations).ok());
  PostgresStore store(pool, nullptr);
  Remote remote("ada:word");
  const std::string first = remote.Commit("first");
  remote.Push();
  Box box;
  Syncs syncs(store, box,
              {.folder = remote.copies(),
               .max_bytes = 10 << 20,
               .workers = 2,
               .private_remotes = "*",
               .worker = {.program = PEPEUNIT_WORKER}},
              nullptr);
  REQUIRE(syncs.Start().ok());
  Wanted wanted{.id = *Uuid::Parse(Remote::kName),
                .url = remote.url(),
                .sync_period_s = 0,
                .sync_requests = 0,
                .sealed_credentials = "word"};
  REQUIRE(store.Upsert(wanted).ok());
  syncs.Wake();
  const std::string copy = remote.copies() + "/" + Remote::kName;
  const auto tip = [&] { return Output("git -C " + copy + " rev-parse main 2>/dev/null || true"); };
  const auto idle = [&] { return !store.Get(wanted.id)->value().running; };
  REQUIRE(Eventually([&] { return tip() == first && idle(); }));

  const std::string second = remote.Commit("second");
  remote.Push();
  ++wanted.sync_requests;
  REQUIRE(store.Upsert(wanted).ok());
  syncs.Wake();
  REQUIRE(Eventually([&] { return tip() == second && idle(); }));

  std::filesystem::remove_all(copy);
  REQUIRE(Eventually([&] { return syncs.Compare().ok() && tip() == second && idle(); }));

  REQUIRE(store.Delete(wanted.id).ok());
  CHECK(Eventually([&] { return syncs.Compare().ok() && !std::filesystem::exists(copy); }));
  syncs.Stop();
}
