#include <catch2/catch.hpp>

#include "migrations.h"
#include "pepeunit/base/clock.h"
#include "pepeunit/bus/v1/events.pb.h"
#include "postgres_store.h"
#include "private_postgres.h"

using namespace pepeunit;
using namespace pepeunit::repo_sync;
using std::chrono::seconds;

namespace {

postgres::PrivatePostgres& Server() {
  static postgres::PrivatePostgres server;
  return server;
}

struct StoreFixture {
  std::string schema = Server().NewSchema();
  postgres::Pool pool{{.dsn = Server().dsn(), .schema = schema}};
  PostgresStore store{pool, nullptr};
  Wanted wanted{.id = Uuid::New(),
                .url = "https://example.org/r",
                .sync_period_s = 86'400,
                .sync_requests = 0,
                .sealed_credentials = std::string("\0x", 2)};

  StoreFixture() { REQUIRE(postgres::ApplyMigrations(pool, schema, kMigrations).ok()); }

  std::vector<bus::v1::RepoSynced> Events() {
    std::vector<bus::v1::RepoSynced> events;
    REQUIRE(pool.Transact("events",
                          [&](pqxx::work& tx) {
                            events.clear();
                            for (const auto& row : tx.exec("SELECT payload FROM outbox ORDER BY id")) {
                              const pqxx::binarystring raw(row[0]);
                              bus::v1::Event event;
                              event.ParseFromArray(raw.get(), static_cast<int>(raw.size()));
                              events.push_back(event.repo_synced());
                            }
                            return absl::OkStatus();
                          })
                .ok());
    return events;
  }
  // Seconds until the next try; -1: never.
  double Due() {
    return *pool.Query<double>("due", [&](pqxx::work& tx) -> absl::StatusOr<double> {
      return tx.exec1("SELECT coalesce(extract(epoch FROM next_sync_at - now()), -1) FROM repository")[0].as<double>();
    });
  }
  Taken Take() {
    auto taken = store.TakeDue(seconds(30));
    REQUIRE(taken.ok());
    REQUIRE(taken->has_value());
    return **taken;
  }
  bool Nothing() { return !store.TakeDue(seconds(30))->has_value(); }
  void Fail() {
    SyncResult failed;
    failed.error = "no";
    REQUIRE(*store.Finish(Take(), failed));
  }
  void Succeed() {
    SyncResult good;
    good.remote_head = "main";
    good.size_bytes = 7;
    good.branches = {{"main", std::string(40, 'a')}};
    good.problems = {{"schema.json", 3, "x", "wrong", false}};
    REQUIRE(*store.Finish(Take(), good));
  }
  void RequestSync() {
    ++wanted.sync_requests;
    REQUIRE(store.Upsert(wanted).ok());
  }
};

}  // namespace

TEST_CASE_METHOD(StoreFixture, "a new repository is due at once, for one taker; its states are told in order",
                 "[R2][R3]") {
  REQUIRE(store.Upsert(wanted).ok());
  const Taken taken = Take();
  CHECK(taken.wanted.url == wanted.url);
  CHECK(taken.wanted.sealed_credentials == wanted.sealed_credentials);
  CHECK(Nothing());
  CHECK(store.Get(wanted.id)->value().running);
  SyncResult good;
  good.remote_head = "main";
  good.branches = {{"main", std::string(40, 'a')}};
  good.problems = {{"schema.json", 3, "x", "wrong", false}};
  CHECK(*store.Finish(taken, good));
  CHECK(Nothing());
  const double due = Due();
  CHECK(due > 86'400 * 0.89);
  CHECK(due < 86'400 * 1.11);
  RequestSync();
  Take();
  const auto events = Events();
  REQUIRE(events.size() == 3);
  CHECK(events[0].state() == bus::v1::SYNC_STATE_RUNNING);
  CHECK(events[1].state() == bus::v1::SYNC_STATE_READY);
  CHECK(events[1].branches_size() == 1);
  CHECK(events[1].problems(0).message() == "wrong");
  CHECK(events[2].problems_size() == 1);  // what is known stays while it runs
  CHECK(events[2].remote_head() == "main");
  CHECK(events[0].time_ms() < events[1].time_ms());
  CHECK(events[1].time_ms() < events[2].time_ms());
}

TEST_CASE_METHOD(StoreFixture, "a failure is tried again later and later, a request at once", "[R6]") {
  REQUIRE(store.Upsert(wanted).ok());
  Fail();
  CHECK(Due() > 50);
  CHECK(Due() < 70);
  CHECK(Nothing());
  CHECK(Events().back().error() == "no");
  for (int i = 0; i < 8; ++i) {
    RequestSync();
    Fail();
  }
  CHECK(Due() > 3000);
  CHECK(Due() < 4000);
  CHECK(Nothing());
  wanted.sealed_credentials = "others";
  REQUIRE(store.Upsert(wanted).ok());
  Succeed();
  CHECK_FALSE(store.Get(wanted.id)->value().failed);
}

TEST_CASE_METHOD(StoreFixture, "what syncs came to is kept, the last hundred of them, and how it goes is told",
                 "[R2][R6]") {
  REQUIRE(store.Upsert(wanted).ok());
  const Taken taken = Take();
  REQUIRE(store.Tell(taken, {.received_bytes = 10, .received_objects = 2, .total_objects = 5}).ok());
  CHECK(Events().back().received_bytes() == 10);
  CHECK(Events().back().total_objects() == 5);
  CHECK(Events().back().state() == bus::v1::SYNC_STATE_RUNNING);
  SyncResult good;
  good.received_bytes = 77;
  good.change_count = 1;
  good.changes = {{RefChange::Kind::kRewritten, "refs/heads/main", std::string(40, 'a'), std::string(40, 'b')}};
  good.checks = {{"refs/tags/v1", std::string(40, 'c'), {{"schema.json", 3, "x", "wrong", false}}}};
  REQUIRE(*store.Finish(taken, good));
  CHECK(Events().back().received_bytes() == 0);
  CHECK(Events().back().next_sync_ms() > NowMs() + 70'000'000);
  CHECK(store.GetChecks(wanted.id)->checks(0).problems(0).line() == 3);
  RequestSync();
  SyncResult same;
  same.unchanged = true;
  REQUIRE(*store.Finish(Take(), same));
  CHECK(store.GetChecks(wanted.id)->checks_size() == 1);  // they are still so
  RequestSync();
  Fail();
  CHECK(Events().back().failures() == 1);
  const auto records = store.ListSyncs(wanted.id, 0, 10);
  REQUIRE(records.ok());
  REQUIRE(records->size() == 3);
  CHECK(records->at(0).record.error() == "no");
  CHECK(records->at(1).record.unchanged());
  CHECK(records->at(2).record.received_bytes() == 77);
  CHECK(records->at(2).record.changes(0).kind() == repo::v1::REF_CHANGE_KIND_REWRITTEN);
  CHECK(records->at(2).record.began_at().seconds() > 1'700'000'000);
  CHECK(store.ListSyncs(wanted.id, records->at(0).id, 1)->at(0).id == records->at(1).id);
  for (int i = 0; i < kMostRecords + 5; ++i) {
    RequestSync();
    Fail();
  }
  CHECK(store.ListSyncs(wanted.id, 0, 1000)->size() == static_cast<std::size_t>(kMostRecords));
}

TEST_CASE_METHOD(StoreFixture, "a new period is told", "[R1]") {
  REQUIRE(store.Upsert(wanted).ok());
  Succeed();
  const auto events = Events().size();
  REQUIRE(store.Upsert(wanted).ok());
  CHECK(Events().size() == events);
  wanted.sync_period_s = 3'600;
  REQUIRE(store.Upsert(wanted).ok());
  REQUIRE(Events().size() == events + 1);
  CHECK(Events().back().next_sync_ms() < NowMs() + 3'700'000);
  CHECK(Events().back().state() == bus::v1::SYNC_STATE_READY);
  wanted.sync_period_s = 0;
  REQUIRE(store.Upsert(wanted).ok());
  CHECK(Events().back().next_sync_ms() == 0);
}

TEST_CASE_METHOD(StoreFixture, "without a schedule it is synced first and then by request only", "[R1][R6]") {
  wanted.sync_period_s = 0;
  REQUIRE(store.Upsert(wanted).ok());
  Fail();
  CHECK(Due() > 0);
  RequestSync();
  Succeed();
  CHECK(Due() == -1);
  CHECK(Nothing());
  RequestSync();
  Fail();
  CHECK(Due() == -1);
  wanted.sync_period_s = 3600;
  REQUIRE(store.Upsert(wanted).ok());
  CHECK(Due() > 3500);
}

TEST_CASE_METHOD(StoreFixture, "old changes change nothing; a request during a sync is not lost", "[R6]") {
  wanted.sync_requests = 5;
  REQUIRE(store.Upsert(wanted).ok());
  Wanted old = wanted;
  old.sync_requests = 4;
  old.sync_period_s = 1;
  REQUIRE(store.Upsert(old).ok());
  const Taken taken = Take();
  CHECK(taken.wanted.sync_period_s == 86'400);
  RequestSync();
  CHECK(*store.Finish(taken, SyncResult()));
  Succeed();
  CHECK(Nothing());
}

TEST_CASE_METHOD(StoreFixture, "a lease that ended or a row that is gone fences the old worker", "[R2]") {
  REQUIRE(store.Upsert(wanted).ok());
  const auto first = store.TakeDue(seconds(-1));
  REQUIRE(first->has_value());
  const Taken second = Take();
  CHECK_FALSE(*store.Renew(**first, seconds(30)));
  CHECK_FALSE(*store.Finish(**first, SyncResult()));
  CHECK(*store.Renew(second, seconds(30)));
  REQUIRE(store.Release(second).ok());
  const Taken third = Take();
  REQUIRE(store.Delete(wanted.id).ok());
  CHECK_FALSE(*store.Finish(third, SyncResult()));
  CHECK(store.ListIds()->empty());
  CHECK_FALSE(store.Get(wanted.id)->has_value());
}

TEST_CASE_METHOD(StoreFixture, "a copy that is missing makes its repository due", "[R2]") {
  REQUIRE(store.Upsert(wanted).ok());
  CHECK(store.ListSynced()->empty());
  Succeed();
  CHECK(store.ListSynced()->size() == 1);
  REQUIRE(store.MarkMissing(wanted.id).ok());
  Succeed();
}

TEST_CASE_METHOD(StoreFixture, "the first host key is pinned whatever becomes of the sync; the graph may name another",
                 "[R2]") {
  wanted.url = "git@example.org:r";
  REQUIRE(store.Upsert(wanted).ok());
  CHECK(Take().wanted.host_key == "");
  RequestSync();
  SyncResult result;
  result.error = "The remote refused the key.";
  const auto finish = [&](const std::string& shown) {
    result.host_key = shown;
    REQUIRE(pool.Transact("lease",
                          [](pqxx::work& tx) {
                            tx.exec("UPDATE repository SET leased_until = '-infinity'");
                            return absl::OkStatus();
                          })
                .ok());
    RequestSync();
    const Taken taken = Take();
    REQUIRE(*store.Finish(taken, result));
    return taken.wanted.host_key;
  };
  CHECK(finish("SHA256:a") == "");
  CHECK(Events().back().ssh_host_key() == "SHA256:a");
  CHECK(Events().back().shown_ssh_host_key() == "SHA256:a");
  CHECK(finish("SHA256:b") == "SHA256:a");
  CHECK(Events().back().ssh_host_key() == "SHA256:a");
  CHECK(Events().back().shown_ssh_host_key() == "SHA256:b");
  CHECK(finish("") == "SHA256:a");  // it did not come so far
  CHECK(Events().back().shown_ssh_host_key() == "SHA256:b");
  wanted.host_key = "SHA256:b";
  REQUIRE(store.Upsert(wanted).ok());
  CHECK(finish("SHA256:b") == "SHA256:b");
  wanted.host_key = "";  // told before the graph knew
  REQUIRE(store.Upsert(wanted).ok());
  CHECK(finish("SHA256:b") == "SHA256:b");
}
