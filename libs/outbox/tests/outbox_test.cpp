#include "pepeunit/outbox/outbox.h"

#include <catch2/catch.hpp>
#include <set>
#include <thread>

#include "private_nats.h"
#include "private_postgres.h"

using namespace pepeunit;
using namespace std::chrono_literals;

namespace {

constexpr char kTable[] =
    "CREATE TABLE outbox (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, subject text NOT NULL,"
    " payload bytea NOT NULL, traceparent text NOT NULL, created_at timestamptz NOT NULL DEFAULT now())";

}  // namespace

TEST_CASE("events go out once and in order, whichever relay sends them, also when the bus was away") {
  postgres::PrivatePostgres server;
  bus::PrivateNats nats;
  const std::string schema = server.NewSchema();
  postgres::Pool pool({.dsn = server.dsn(), .schema = schema});
  REQUIRE(postgres::ApplyMigrations(pool, schema, {{"0001_outbox.sql", kTable}}).ok());
  bus::Bus bus({.url = nats.url(), .token = "", .name = "test"});
  REQUIRE(bus.EnsureStream(bus::EventsStream(1), 10s).ok());
  outbox::Relay one(pool, bus, schema), two(pool, bus, schema);
  one.Start();
  two.Start();

  const auto append = [&](int n, bool commit) {
    return pool.Transact("append", [&](pqxx::work& tx) -> absl::Status {
      bus::v1::Event event;
      event.mutable_unit_changed()->set_unit_id(std::to_string(n));
      outbox::Append(tx, "events.graph.unit.x", event);
      return commit ? absl::OkStatus() : absl::AbortedError("rolled back");
    });
  };
  for (int i = 0; i < 300; ++i) {
    REQUIRE(append(i, true).ok());
    if (i % 50 == 0) {
      CHECK_FALSE(append(10'000 + i, false).ok());
      one.Kick();
    }
    if (i == 100) nats.Kill();
    if (i == 200) nats.Start();
  }
  auto reader = bus.ReadStream("EVENTS", "events.>", 1);
  std::vector<int> seen;
  for (int tries = 0; tries < 200 && seen.size() < 300; ++tries) {
    const auto messages = reader->Fetch(100, 100ms);
    if (!messages.ok()) continue;
    for (const auto& m : *messages) {
      bus::v1::Event event;
      REQUIRE(event.ParseFromString(m.payload));
      CHECK(event.id() > 0);
      CHECK(event.time_ms() > 0);
      seen.push_back(std::stoi(event.unit_changed().unit_id()));
    }
  }
  REQUIRE(seen.size() == 300);
  for (int i = 0; i < 300; ++i) CHECK(seen[static_cast<std::size_t>(i)] == i);
  const auto left = [&] {
    return *pool.Query<int>("left", [](pqxx::work& tx) -> absl::StatusOr<int> {
      return tx.exec1("SELECT count(*) FROM outbox")[0].as<int>();
    });
  };
  // They go from the table after they have been published.
  for (int tries = 0; tries < 200 && left() > 0; ++tries) std::this_thread::sleep_for(50ms);
  CHECK(left() == 0);
}
