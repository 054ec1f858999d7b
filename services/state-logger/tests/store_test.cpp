#include <thread>

#include "fixture.h"
#include "postgres_locks.h"

using namespace pepeunit;
using namespace pepeunit::state_logger;

namespace {

const bus::StreamState kStream{
    .messages = 0, .bytes = 0, .first_sequence = 1, .last_sequence = 1'000'000, .created_ns = 1};
absl::Status Quiet(const Batch&) { return absl::OkStatus(); }

struct Store : Tables {
  const Uuid unit = Uuid::New(), output = Uuid::New(), input = Uuid::New();
  Store() { REQUIRE(store.Resume(0, Now(kStream)).value() == 0); }

  static Batch Of(const std::vector<bus::Message>& messages) {
    Batch batch;
    for (const auto& message : messages) batch.Add(message);
    return batch;
  }
  absl::Status Apply(std::uint64_t expected, const std::vector<bus::Message>& messages) {
    return store.Apply(0, expected, Of(messages), Quiet);
  }
};

}  // namespace

TEST_CASE("a batch is stored entirely, and read back as it was", "[D1][S2][S3]") {
  Store s;
  bus::v1::Scalar json, boolean, none;
  json.set_json(R"({"a":[1,"\\"]})");
  boolean.set_boolean(true);
  const std::vector<bus::v1::Scalar> values = {Number(0.1), Number(-1e300), boolean, Text("a\tb\n\\N\"{},\xc3\xa9"),
                                               Text(""),    json,           none};
  ReportMaker report(s.unit, 7, 1'700'000'000'123);
  for (std::size_t i = 0; i < values.size(); ++i)
    report.Reading(s.output, 1'700'000'000'000 + static_cast<std::int64_t>(i), values[i]);
  report.State(R"({"rssi":-60})").Delivery(s.input, s.unit, 1'700'000'000'123, Text("x"));
  REQUIRE(s.Apply(0, {report.At(5)}).ok());

  const auto rows = s.store.Readings(s.output, {}, 4'000'000'000'000'000, 100).value();
  REQUIRE(rows.size() == values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    CHECK(rows[i].value.SerializeAsString() == values[i].SerializeAsString());
    CHECK(rows[i].key.time_us == (1'700'000'000'000 + static_cast<std::int64_t>(i)) * 1'000);
  }
  CHECK(s.store.CurrentValue(s.output)->value().time_ms == 1'700'000'000'006);
  CHECK_FALSE(s.store.CurrentValue(Uuid::New()).value().has_value());
  CHECK(s.store.UnitState(s.unit)->value().state == R"({"rssi":-60})");
  CHECK(s.store.UnitState(s.unit)->value().last_seen_ms == 1'700'000'000'123);
  const Mark mark = s.store.GetMark(s.unit).value();
  CHECK(mark.sequence == 7);
  CHECK(mark.request_tag == "tag7");
  REQUIRE(mark.inputs.size() == 1);
  CHECK(mark.inputs[0].value().text() == "x");
  CHECK(mark.inputs[0].stream_sequence() == 5);
  CHECK(s.store.Applied(0).value() == 5);
}

TEST_CASE("a batch that comes again, or from a second writer, changes nothing") {
  Store s;
  const auto first = ReportMaker(s.unit, 1).Reading(s.output, 1'000, Number(1)).At(1);
  const auto second = ReportMaker(s.unit, 2).Reading(s.output, 2'000, Number(2)).At(2);
  REQUIRE(s.Apply(0, {first}).ok());
  CHECK(s.Apply(0, {first}).code() == absl::StatusCode::kAborted);
  CHECK(s.Apply(0, {first, second}).code() == absl::StatusCode::kAborted);
  CHECK(s.One("SELECT count(*) FROM reading") == "1");
  REQUIRE(s.Apply(1, {second}).ok());
  CHECK(s.One("SELECT count(*) FROM reading") == "2");
}

TEST_CASE("of two writers at the same time one stores") {
  Store s;
  for (std::uint64_t round = 0; round < 20; ++round) {
    std::atomic<int> stored = 0, refused = 0;
    std::vector<std::thread> writers;
    for (int i = 0; i < 3; ++i) {
      writers.emplace_back([&] {
        const absl::Status status =
            s.Apply(round, {ReportMaker(s.unit, round + 1).Reading(s.output, 1'000, Number(1)).At(round + 1)});
        status.ok() ? ++stored : ++refused;
      });
    }
    for (auto& writer : writers) writer.join();
    CHECK(stored == 1);
    CHECK(refused == 2);
  }
  CHECK(s.One("SELECT count(*) FROM reading") == "20");
  CHECK(s.store.GetMark(s.unit)->sequence == 20);
}

TEST_CASE("an error before the commit leaves nothing behind") {
  Store s;
  const Batch batch = Store::Of({ReportMaker(s.unit, 1).Reading(s.output, 1'000, Number(1)).At(1)});
  const auto fails = [](const Batch&) { return absl::UnavailableError("no bus"); };
  CHECK(s.store.Apply(0, 0, batch, fails).code() == absl::StatusCode::kUnavailable);
  CHECK(s.store.Applied(0).value() == 0);
  CHECK(s.One("SELECT count(*) FROM reading") == "0");
  CHECK(s.store.Apply(0, 0, batch, Quiet).ok());
}

TEST_CASE("newest values are the same however the messages are cut into batches") {
  const Uuid unit = Uuid::New(), output = Uuid::New(), input = Uuid::New();
  const std::vector<bus::Message> messages = {
      ReportMaker(unit, 1).State("{}").Reading(output, 5'000, Number(5)).Delivery(input, unit, 5'000, Number(5)).At(1),
      ReportMaker(unit, 2).Reading(output, 3'000, Number(3)).Delivery(input, unit, 3'000, Number(3)).At(2),
      ReportMaker(unit, 3).Reading(output, 4'000, Number(4)).At(3)};
  Store whole, single;
  REQUIRE(whole.Apply(0, messages).ok());
  for (std::size_t i = 0; i < messages.size(); ++i) REQUIRE(single.Apply(i, {messages[i]}).ok());
  for (Store* s : {&whole, &single}) {
    CHECK(s->store.CurrentValue(output)->value().value.number() == 5);
    CHECK(s->store.CurrentValue(input)->value().value.number() == 3);
    CHECK(s->store.GetMark(unit)->sequence == 3);
    CHECK(s->store.UnitState(unit)->value().state == "{}");
    CHECK(s->One("SELECT count(*) FROM reading") == "3");
  }
}

TEST_CASE("days get their tables, also when one was dropped or several writers need it at once", "[D1]") {
  Store s;
  REQUIRE(s.Apply(0, {ReportMaker(s.unit, 1)
                          .Reading(s.output, 0, Number(1))
                          .Reading(s.output, 4'102'444'799'999, Number(2))
                          .At(1)})
              .ok());
  CHECK(s.One("SELECT count(*) FROM reading_19700101") == "1");
  CHECK(s.One("SELECT count(*) FROM reading_20991231") == "1");
  REQUIRE(s.Exec("DROP TABLE reading_19700101").ok());
  const std::vector<bus::Message> again = {ReportMaker(s.unit, 2).Reading(s.output, 0, Number(1)).At(2)};
  CHECK_FALSE(s.Apply(1, again).ok());
  CHECK(s.Apply(1, again).ok());

  std::vector<std::thread> writers;
  std::atomic<int> stored = 0;
  for (std::uint32_t p = 1; p <= 4; ++p) {
    writers.emplace_back([&, p] {
      PostgresStore store(s.pool);
      if (!store.Resume(p, Now(kStream)).ok()) return;
      const Uuid variable = Uuid::New();
      if (store
              .Apply(p, 0,
                     Store::Of({ReportMaker(Uuid::New(), 1).Reading(variable, 1'000'000'000'000, Number(1)).At(10)}),
                     Quiet)
              .ok())
        ++stored;
    });
  }
  for (auto& writer : writers) writer.join();
  CHECK(stored == 4);
  CHECK(s.One("SELECT count(*) FROM reading_20010909") == "4");
}

TEST_CASE("positions that go on while the stream is looked at are not set back", "[S4][U7]") {
  Store s;
  REQUIRE(s.store.Resume(1, Now(kStream)).ok());
  // Another writer stores what came after the look.
  const auto resumed = s.store.Resume(0, [&]() -> absl::StatusOr<bus::StreamState> {
    bus::StreamState seen = kStream;
    seen.last_sequence = 95;
    CHECK(s.store.Apply(1, 0, s.Of({ReportMaker(s.unit, 1).Reading(s.output, 1'000, Number(1)).At(100)}), Quiet).ok());
    return seen;
  });
  REQUIRE(resumed.ok());
  CHECK(s.store.Applied(1).value() == 100);
}

TEST_CASE("a value that PostgreSQL never takes is told apart from an outage") {
  Store s;
  REQUIRE(s.Exec("DROP VIEW readings; ALTER TABLE reading ALTER COLUMN text TYPE varchar(5)").ok());
  CHECK(s.Apply(0, {ReportMaker(s.unit, 1).Reading(s.output, 1'000, Text("too long")).At(1)}).code() ==
        absl::StatusCode::kInvalidArgument);
  CHECK(s.Apply(0, {ReportMaker(s.unit, 1).Reading(s.output, 1'000, Text(std::string("a\0b", 3))).At(1)}).ok());
  CHECK(s.store.CurrentValue(s.output)->value().value.text() == "ab");
}

TEST_CASE("what was removed goes with its history and does not come back", "[U8][U11]") {
  Store s;
  const Uuid other = Uuid::New();
  ReportMaker report(s.unit, 1);
  ReportMaker of_other(Uuid::New(), 1);
  for (int i = 0; i < 250; ++i) {
    report.Reading(s.output, 1'000 * (i / 2), Number(i));
    of_other.Reading(other, 1'000, Number(i));
  }
  report.Delivery(s.input, s.unit, 1'000, Number(1));
  REQUIRE(s.Apply(0, {report.At(1), of_other.At(2)}).ok());
  REQUIRE(s.store.End({.variables = {s.output, s.input}, .units = {s.unit}}).ok());
  const auto of = [&](const Uuid& variable) {
    return s.store.Readings(variable, {}, 4'000'000'000'000'000, 1'000)->size();
  };
  CHECK(of(s.output) == 0);
  CHECK(of(other) == 250);
  CHECK(s.store.GetMark(s.unit)->inputs.empty());
  CHECK_FALSE(s.store.UnitState(s.unit).value().has_value());

  REQUIRE(s.Apply(2, {ReportMaker(s.unit, 2).Reading(s.output, 2'000, Number(2)).At(3)}).ok());
  CHECK(of(s.output) == 0);
  CHECK_FALSE(s.store.CurrentValue(s.output).value().has_value());
  CHECK(s.store.Applied(0).value() == 3);

  CHECK(s.store.ForgetOldTombstones().ok());
  CHECK(s.One("SELECT count(*) FROM removed") == "3");
  REQUIRE(s.Exec("UPDATE removed SET at = now() - interval '61 days'").ok());
  CHECK(s.store.ForgetOldTombstones().ok());
  CHECK(s.One("SELECT count(*) FROM removed") == "0");
}

TEST_CASE("a batch that is being stored while its variable is removed leaves nothing behind", "[U8]") {
  Store s;
  std::thread forgetting;
  const absl::Status stored = s.store.Apply(
      0, 0, Store::Of({ReportMaker(s.unit, 1).Reading(s.output, 1'000, Number(1)).At(1)}), [&](const Batch&) {
        forgetting = std::thread([&] { CHECK(s.store.End({.variables = {s.output}, .units = {s.unit}}).ok()); });
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
        return absl::OkStatus();
      });
  CHECK(stored.ok());
  forgetting.join();
  CHECK(s.store.Readings(s.output, {}, 4'000'000'000'000'000, 10)->empty());
  CHECK(s.One("SELECT count(*) FROM current_value") == "0");
  CHECK(s.One("SELECT count(*) FROM unit_state") == "0");
}

TEST_CASE("a stream that was made anew, or lost its end, is not taken for stored") {
  Store s;
  REQUIRE(s.store.Resume(1, Now(kStream)).ok());
  REQUIRE(s.Apply(0, {ReportMaker(s.unit, 1).Delivery(s.input, s.unit, 1'000, Number(1)).At(100)}).ok());
  CHECK(s.store.Resume(0, Now(kStream)).value() == 100);

  bus::StreamState shorter = kStream;
  shorter.last_sequence = 90;
  CHECK(s.store.Resume(1, Now(shorter)).value() == 0);
  CHECK(s.store.Resume(0, Now(shorter)).value() == 90);
  REQUIRE(s.Apply(90, {ReportMaker(s.unit, 2).Delivery(s.input, s.unit, 2'000, Number(2)).At(91)}).ok());
  CHECK(s.store.CurrentValue(s.input)->value().value.number() == 2);

  bus::StreamState fresh = kStream;
  fresh.created_ns = 2;
  CHECK(s.store.Resume(1, Now(fresh)).value() == 0);
  CHECK(s.store.Resume(0, Now(fresh)).value() == 0);
  REQUIRE(s.Apply(0, {ReportMaker(s.unit, 3).Delivery(s.input, s.unit, 3'000, Number(3)).At(1)}).ok());
  CHECK(s.store.CurrentValue(s.input)->value().value.number() == 3);
  CHECK(s.store.GetMark(s.unit)->sequence == 3);
  CHECK(s.store.Resume(0, Now(fresh)).value() == 1);
}

TEST_CASE("readings come in order, page by page, and each once", "[D1]") {
  Store s;
  ReportMaker one(s.unit, 1), two(s.unit, 2);
  for (int i = 0; i < 10; ++i) one.Reading(s.output, 5'000, Number(i));  // the same time
  for (int i = 0; i < 10; ++i) two.Reading(s.output, i < 5 ? 4'999 : 5'000, Number(10 + i));
  REQUIRE(s.Apply(0, {one.At(1), two.At(2)}).ok());
  ReadingKey after{.time_us = 0};
  std::vector<double> seen;
  for (;;) {
    const auto rows = s.store.Readings(s.output, after, 6'000'000, 3).value();
    for (const auto& row : rows) seen.push_back(row.value.number());
    if (rows.size() < 3) break;
    after = rows.back().key;
  }
  CHECK(seen == std::vector<double>{10, 11, 12, 13, 14, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 18, 19});
  CHECK(s.store.Readings(s.output, {.time_us = 5'000'000}, 5'000'001, 100)->size() == 15);
  CHECK(s.store.Readings(s.output, {.time_us = 4'999'000}, 5'000'000, 100)->size() == 5);
}

TEST_CASE("partitions have one owner; a dead session frees them at once") {
  Tables tables;
  auto one = std::make_unique<PostgresLocks>(tables.pool), two = std::make_unique<PostgresLocks>(tables.pool);
  CHECK(one->Members().value() == 1);
  CHECK(two->Members().value() == 2);
  CHECK(one->Members().value() == 2);
  CHECK(one->TryLock(3).value());
  CHECK_FALSE(two->TryLock(3).value());
  CHECK(one->Unlock(3).ok());
  CHECK(two->TryLock(3).value());

  Tables other;  // an instance beside it, in the same database
  PostgresLocks apart(other.pool);
  CHECK(apart.Members().value() == 1);
  CHECK(apart.TryLock(3).value());

  two->Leave();
  bool taken = false;
  for (int tries = 0; tries < 100 && !taken; ++tries) {
    taken = one->TryLock(3).value();
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  CHECK(taken);
  CHECK(one->Members().value() == 1);
  REQUIRE(tables
              .Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND query "
                    "LIKE '%pg_locks%'")
              .ok());
  CHECK(one->TryLock(4).status().code() == absl::StatusCode::kUnavailable);
  CHECK(one->TryLock(4).status().code() ==
        absl::StatusCode::kUnavailable);  // does not take part until it asks for members
  CHECK(one->Members().value() == 1);
  CHECK(one->TryLock(4).value());
}

TEST_CASE("what a link carried and did not is kept, exactly once, with what waits", "[G4][G5]") {
  Store s;
  const Uuid link = Uuid::New();
  std::vector<bus::Message> messages;
  for (std::uint64_t i = 1; i <= 25; ++i) {
    messages.push_back(
        ReportMaker(s.unit, i).Delivery(s.input, s.unit, 1'000, Text("v" + std::to_string(i)), link, s.output).At(i));
  }
  const std::vector<bus::Message> first(messages.begin(), messages.begin() + 10),
      rest(messages.begin() + 10, messages.end());
  REQUIRE(s.Apply(0, first).ok());
  CHECK_FALSE(s.Apply(0, first).ok());  // again
  REQUIRE(s.Apply(10, rest).ok());
  const LinkState state = *s.store.GetLink(link).value();
  CHECK(state.carried == 20);  // the burst
  CHECK(state.limited == 5);
  CHECK(state.unit == s.unit);
  CHECK(state.output == s.output);
  REQUIRE(state.held);
  CHECK(state.held->value.text() == "v25");
  CHECK(s.store.CurrentValue(s.input)->value().value.text() == "v20");
  CHECK_FALSE(s.store.GetLink(Uuid::New()).value().has_value());

  const std::int64_t due = state.held->due_ms;
  CHECK(s.store.ReleaseHeld(due - 1, Quiet).value());
  CHECK(s.store.CurrentValue(s.input)->value().value.text() == "v20");
  const auto fails = [](const Batch&) { return absl::UnavailableError("the bus is away"); };
  CHECK_FALSE(s.store.ReleaseHeld(due, fails).ok());
  std::vector<std::string> told;
  CHECK(s.store
            .ReleaseHeld(due,
                         [&](const Batch& batch) {
                           for (const auto& [id, row] : batch.current()) told.push_back(row.value->text());
                           return absl::OkStatus();
                         })
            .value());
  CHECK(told == std::vector<std::string>{"v25"});
  CHECK(s.store.CurrentValue(s.input)->value().value.text() == "v25");
  CHECK_FALSE(s.store.ReleaseHeld(due + 1'000, Quiet).value());
  CHECK(s.store.GetLink(link)->value().carried == 21);
}

TEST_CASE("a value that waited does not overwrite what came later", "[G5][S3]") {
  Store s;
  const Uuid link = Uuid::New();
  std::vector<bus::Message> messages;
  for (std::uint64_t i = 1; i <= 21; ++i)
    messages.push_back(ReportMaker(s.unit, i).Delivery(s.input, s.unit, 1'000, Number(1), link).At(i));
  messages.push_back({"values.0.input.x", InputPayload(s.input, s.unit, 9'000, Number(99)), 22, ""});
  REQUIRE(s.Apply(0, messages).ok());
  REQUIRE(s.store.ReleaseHeld(INT64_MAX, Quiet).ok());
  CHECK(s.store.CurrentValue(s.input)->value().value.number() == 99);
}

TEST_CASE("from the moment that a link is stopped nothing passes by it that was on its way", "[G5]") {
  Store s;
  const Uuid link = Uuid::New(), other = Uuid::New(), second = Uuid::New();
  const auto report = [&](std::uint64_t i, std::uint64_t version) {
    return ReportMaker(s.unit, i)
        .From(version)
        .Reading(s.output, 1'000 + static_cast<std::int64_t>(i), Number(static_cast<double>(i)))
        .Delivery(s.input, s.unit, 1'000, Number(static_cast<double>(i)), link, s.output)
        .Delivery(second, s.unit, 1'000, Number(static_cast<double>(i)), other, s.output)
        .At(i);
  };
  REQUIRE(s.Apply(0, {report(1, 3)}).ok());
  // The stop waits for what is being stored, and what is stored after it sees it.
  std::thread stopping;
  std::atomic<bool> stopped = false;
  REQUIRE(s.store
              .Apply(0, 1, Store::Of({report(2, 3)}),
                     [&](const Batch&) {
                       stopping = std::thread([&] {
                         CHECK(s.store.End({.stopped = {{link, s.unit, 4}}}).ok());
                         stopped = true;
                       });
                       std::this_thread::sleep_for(std::chrono::milliseconds(100));
                       CHECK_FALSE(stopped);
                       return absl::OkStatus();
                     })
              .ok());
  stopping.join();
  CHECK(s.store.CurrentValue(s.input)->value().value.number() == 2);
  REQUIRE(s.Apply(2, {report(3, 3)}).ok());
  CHECK(s.store.CurrentValue(s.input)->value().value.number() == 2);
  CHECK(s.store.CurrentValue(second)->value().value.number() == 3);    // a link of its own, with its own right
  CHECK(s.store.CurrentValue(s.output)->value().value.number() == 3);  // a reading is a reading
  // Told again, and late: nothing changes.
  REQUIRE(s.store.End({.stopped = {{link, s.unit, 2}}}).ok());
  REQUIRE(s.Apply(3, {report(4, 3)}).ok());
  CHECK(s.store.CurrentValue(s.input)->value().value.number() == 2);
  // The right is back.
  REQUIRE(s.Apply(4, {report(5, 5)}).ok());
  CHECK(s.store.CurrentValue(s.input)->value().value.number() == 5);
}

TEST_CASE("what waits for the rate of a stopped link goes, and a removed link leaves nothing", "[G5][U11]") {
  Store s;
  const Uuid link = Uuid::New();
  const auto flood = [&](std::uint64_t from) {
    std::vector<bus::Message> messages;
    for (std::uint64_t i = from; i < from + 25; ++i)
      messages.push_back(
          ReportMaker(s.unit, i).From(1).Delivery(s.input, s.unit, 1'000, Number(static_cast<double>(i)), link).At(i));
    return messages;
  };
  REQUIRE(s.Apply(0, flood(1)).ok());
  REQUIRE(s.store.GetLink(link)->value().held);
  REQUIRE(s.store.End({.stopped = {{link, s.unit, 2}}}).ok());
  CHECK_FALSE(s.store.GetLink(link)->value().held);
  CHECK_FALSE(s.store.ReleaseHeld(INT64_MAX, Quiet).value());
  CHECK(s.store.CurrentValue(s.input)->value().value.number() == 20);
  CHECK(s.store.GetLink(link)->value().carried == 20);

  REQUIRE(s.store.End({.links = {link}}).ok());
  CHECK(s.One("SELECT count(*) FROM link_state") == "0");
  REQUIRE(s.Apply(25, flood(26)).ok());
  CHECK(s.One("SELECT count(*) FROM link_state") == "0");
  CHECK(s.store.CurrentValue(s.input)->value().value.number() == 20);
  // Either end takes it along.
  for (const bool source : {true, false}) {
    const Uuid from = Uuid::New(), input = Uuid::New();
    const std::uint64_t at = s.store.Applied(0).value();
    REQUIRE(s.Apply(at, {ReportMaker(from, 1).Delivery(input, s.unit, 1'000, Number(1)).At(at + 1)}).ok());
    REQUIRE(s.One("SELECT count(*) FROM link_state") == "1");
    REQUIRE(s.store.End(source ? Ended{.units = {from}} : Ended{.variables = {input}}).ok());
    CHECK(s.One("SELECT count(*) FROM link_state") == "0");
  }
}
