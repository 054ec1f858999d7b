#include "writer.h"

#include <atomic>
#include <ctime>
#include <filesystem>
#include <iostream>
#include <thread>

#include "fixture.h"
#include "forgetting.h"
#include "partitions.h"
#include "pepeunit/base/clock.h"
#include "pepeunit/bus/v1/events.pb.h"
#include "postgres_locks.h"
#include "private_nats.h"
#include "program.h"
#include "values.h"

using namespace pepeunit;
using namespace pepeunit::state_logger;
using namespace std::chrono_literals;

namespace {

bool Eventually(const std::function<bool()>& holds, std::chrono::seconds patience = 30s) {
  const auto until = std::chrono::steady_clock::now() + patience;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(20ms);
  }
  return true;
}

// A bus and tables, and devices that report.
struct Plant : Tables {
  bus::PrivateNats nats;
  bus::Bus bus{{.url = nats.url(), .token = "", .name = "test"}};
  prometheus::Registry registry;
  WriterMetrics metrics = WriterMetrics::In(registry);
  const std::vector<Uuid> units = {Uuid::New(), Uuid::New(), Uuid::New(), Uuid::New(), Uuid::New()};
  const Uuid output = Uuid::New(), input = Uuid::New();
  std::uint64_t sequence = 0;

  explicit Plant(const std::string& name = Database().NewSchema()) : Tables(name) {
    REQUIRE(bus.EnsureStream(bus::ValuesStream(64 << 20, 1), 10s).ok());
    REQUIRE(bus.EnsureStream(bus::EventsStream(1), 10s).ok());
  }

  // Publishes until the stream has it. Two readings, one delivery.
  void Report(std::uint32_t partitions = 1) {
    ++sequence;
    const Uuid& unit = units[sequence % units.size()];
    const auto number = Number(static_cast<double>(sequence));
    const std::string payload = ReportMaker(unit, sequence)
                                    .Reading(output, 1'000, number)
                                    .Reading(output, 2'000, number)
                                    .Delivery(input, units[0], 2'000, number)
                                    .Payload();
    const std::string subject = bus::ReportSubject(PartitionOf(unit, partitions), unit.ToString());
    REQUIRE(Eventually([&] {
      return bus
          .PublishAndWait(
              subject, payload,
              {.expected_last_subject_sequence = {}, .message_id = "m" + std::to_string(sequence), .traceparent = ""})
          .status.ok();
    }));
  }
  bool AllStored() {
    const auto rows = pool.Query<std::uint64_t>("test", [](pqxx::work& tx) -> absl::StatusOr<std::uint64_t> {
      return tx.exec1("SELECT count(*) FROM reading")[0].as<std::uint64_t>();
    });
    return rows.ok() && *rows >= 2 * sequence;
  }
  // Every number from 1 to `sequence` twice, and nothing else.
  void CheckExactlyOnce() {
    CHECK(One("SELECT count(*) FROM reading") == std::to_string(2 * sequence));
    CHECK(One("SELECT count(DISTINCT number) FROM reading") == std::to_string(sequence));
    CHECK(One("SELECT count(*) FROM (SELECT DISTINCT stream_seq, ord FROM reading) AS d") ==
          std::to_string(2 * sequence));
    CHECK(store.CurrentValue(input)->value().value.number() == static_cast<double>(sequence));
  }
};

// Refuses what is written in `poison`, as PostgreSQL refuses a value out of its range.
struct Picky final : ValueStore {
  absl::StatusOr<std::uint64_t> Applied(std::uint32_t) override { return applied; }
  absl::StatusOr<std::uint64_t> Resume(std::uint32_t, const AskStream&) override { return applied; }
  absl::Status Apply(std::uint32_t, std::uint64_t expected, const Batch& batch,
                     const std::function<absl::Status(const Batch&)>&) override {
    if (expected != applied) return absl::AbortedError("");
    for (const auto& row : batch.readings()) {
      if (row.value->number() == poison) return absl::InvalidArgumentError("");
    }
    for (const auto& row : batch.readings()) stored.push_back(row.value->number());
    largest = std::max(largest, batch.readings().size());
    applied = batch.last_sequence();
    return absl::OkStatus();
  }
  absl::Status End(const Ended&) override { return absl::OkStatus(); }
  absl::StatusOr<bool> ReleaseHeld(std::int64_t, const std::function<absl::Status(const Batch&)>&) override {
    return false;
  }
  absl::StatusOr<std::optional<LinkState>> GetLink(const Uuid&) override { return std::optional<LinkState>(); }
  absl::StatusOr<bool> CloseWindows(std::int64_t) override { return false; }
  absl::Status ForgetOldTombstones() override { return absl::OkStatus(); }
  absl::StatusOr<std::optional<StoredValue>> CurrentValue(const Uuid&) override { return std::optional<StoredValue>(); }
  absl::StatusOr<std::vector<StoredReading>> Readings(const Uuid&, const ReadingKey&, std::int64_t, int) override {
    return std::vector<StoredReading>();
  }
  absl::StatusOr<std::optional<StoredState>> UnitState(const Uuid&) override { return std::optional<StoredState>(); }
  absl::StatusOr<Mark> GetMark(const Uuid&) override { return Mark(); }

  double poison = -1;
  std::uint64_t applied = 0;
  std::vector<double> stored;
  std::size_t largest = 0;
};

}  // namespace

TEST_CASE("a message that can never be stored is found and passed over, its neighbours are stored") {
  Picky store;
  store.poison = 37;
  bus::Bus bus({.url = "nats://127.0.0.1:9", .token = "", .name = "test"});
  prometheus::Registry registry;
  const auto metrics = WriterMetrics::In(registry);
  Writer writer(0, store, bus, metrics);
  std::vector<bus::Message> messages;
  for (std::uint64_t i = 1; i <= 100; ++i) {
    messages.push_back(ReportMaker(Uuid::New(), 1).Reading(Uuid::New(), 1'000, Number(static_cast<double>(i))).At(i));
  }
  CHECK(writer.StoreAll(messages).ok());
  CHECK(store.stored.size() == 99);
  CHECK(std::is_sorted(store.stored.begin(), store.stored.end()));
  CHECK(std::count(store.stored.begin(), store.stored.end(), 37) == 0);
  CHECK(store.applied == 100);
  CHECK(metrics.unreadable->Value() == 1);
}

TEST_CASE("a transaction holds so many rows only, however long the messages are") {
  Picky store;
  bus::Bus bus({.url = "nats://127.0.0.1:9", .token = "", .name = "test"});
  prometheus::Registry registry;
  Writer writer(0, store, bus, WriterMetrics::In(registry));
  std::vector<bus::Message> messages;
  for (std::uint64_t i = 1; i <= 50; ++i) {
    ReportMaker report(Uuid::New(), 1);
    for (int r = 0; r < 2'000; ++r) report.Reading(Uuid::New(), 1'000, Number(1));
    messages.push_back(report.At(i));
  }
  CHECK(writer.StoreAll(messages).ok());
  CHECK(store.stored.size() == 100'000);
  CHECK(store.largest <= 50'000);
}

TEST_CASE("writers go on by themselves after PostgreSQL, the bus or their session died; nothing is lost or double") {
  Plant plant;
  // Two replicas that share four partitions.
  PostgresLocks locks_one(plant.pool), locks_two(plant.pool);
  const PartitionSettings settings{.count = 4, .values_max_bytes = 64 << 20};
  Partitions one(plant.store, locks_one, plant.bus, plant.metrics, settings);
  auto two = std::make_unique<Partitions>(plant.store, locks_two, plant.bus, plant.metrics, settings);
  one.Start();
  CHECK(Eventually([&] { return one.owned() == 4; }));
  two->Start();
  CHECK(Eventually([&] { return one.owned() == 2 && two->owned() == 2; }));
  for (int i = 0; i < 300; ++i) {
    plant.Report(4);
    if (i == 50) Database().Kill();
    if (i == 60) Database().Start();
    if (i == 120) {
      plant.nats.Kill();
      plant.nats.Start();
    }
    if (i == 180) two.reset();
    if (i == 240) {
      (void)Eventually([&] {
        return plant
            .Exec(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type "
                "= 'client backend'")
            .ok();
      });
    }
  }
  CHECK(Eventually([&] { return plant.AllStored(); }));
  plant.CheckExactlyOnce();
  CHECK(Eventually([&] { return one.owned() == 4; }));
}

TEST_CASE("a logger that is killed at any moment loses and repeats nothing", "[U1]") {
  REQUIRE(Tables().Exec("CREATE SCHEMA log").ok());
  Plant plant("log");
  Program program({{"PEPEUNIT_DATABASE_URL", Database().dsn()},
                   {"PEPEUNIT_NATS_URL", plant.nats.url()},
                   {"PEPEUNIT_VALUES_MAX_BYTES", std::to_string(64 << 20)}});
  for (int round = 0; round < 8; ++round) {
    program.Start();
    for (int i = 0; i < 400; ++i) plant.Report();
    std::this_thread::sleep_for(std::chrono::milliseconds(37 * round));
    program.Kill();
    for (int i = 0; i < 20; ++i) plant.Report();
  }
  program.Start();
  CHECK(Eventually([&] { return plant.AllStored(); }));
  plant.CheckExactlyOnce();
  CHECK(program.Terminate() == 0);
}

TEST_CASE("removed units are forgotten as the graph tells, once the bus and PostgreSQL are there", "[U8][U11]") {
  Plant plant;
  PostgresLocks locks(plant.pool);
  Partitions partitions(plant.store, locks, plant.bus, plant.metrics, {.count = 1, .values_max_bytes = 64 << 20});
  partitions.Start();
  for (int i = 0; i < 10; ++i) plant.Report();
  REQUIRE(Eventually([&] { return plant.AllStored(); }));
  const auto left = [&] { return plant.store.Readings(plant.output, {}, 4'000'000'000'000'000, 100)->size(); };
  CHECK(left() == 20);
  Forgetting forgetting(plant.bus, plant.store);
  forgetting.Start();
  REQUIRE(plant.bus.PublishAndWait("events.graph.unit.x", "\xff\xff", {}).status.ok());  // is passed over
  bus::v1::Event event;
  event.mutable_unit_changed()->set_unit_id(plant.units[1].ToString());
  event.mutable_unit_changed()->set_deleted(true);
  event.mutable_unit_changed()->add_removed_variable_ids(plant.output.ToString());
  REQUIRE(plant.bus.PublishAndWait("events.graph.unit." + plant.units[1].ToString(), event.SerializeAsString(), {})
              .status.ok());
  CHECK(Eventually([&] { return left() == 0; }));
  CHECK(plant.One("SELECT count(*) FROM unit_state") == "4");
  plant.Report();
  const auto last = plant.bus.GetLastMessage(bus::kValuesStream, "values.>").value()->stream_sequence;
  CHECK(Eventually([&] { return plant.store.Applied(0).value() == last; }));
  CHECK(left() == 0);
}

TEST_CASE("an input's change is told before it can be read") {
  Plant plant;
  std::atomic<int> told = 0;
  bus::v1::InputChanged newest;
  const auto subscription = plant.bus.Subscribe("inputs.>", [&](const bus::Message& message) {
    newest.ParseFromString(message.payload);
    ++told;  // last: whoever sees it may read
  });
  REQUIRE(plant.bus.Flush(2s).ok());
  PostgresLocks locks(plant.pool);
  Partitions partitions(plant.store, locks, plant.bus, plant.metrics, {.count = 1, .values_max_bytes = 64 << 20});
  partitions.Start();
  plant.Report();
  REQUIRE(Eventually([&] { return plant.AllStored(); }));
  REQUIRE(Eventually([&] { return told == 1; }));
  CHECK(newest.input_id() == plant.input.ToBytes());
  CHECK(newest.unit_id() == plant.units[0].ToBytes());
  CHECK(newest.value().number() == 1);
  CHECK(newest.stream_sequence() == 1);
}

TEST_CASE("a snapshot holds all that was in the stream when it was asked for") {
  Plant plant;
  Snapshots snapshots(plant.store, plant.bus, 1);
  log::v1::GetUnitSnapshotRequest request;
  request.set_unit_id(plant.units[1].ToString());
  log::v1::UnitSnapshot snapshot;
  CHECK(snapshots.Get(rpc::Caller{.kind = rpc::Caller::Kind::kUser}, request, snapshot).code() ==
        absl::StatusCode::kPermissionDenied);
  REQUIRE(snapshots.Get(rpc::Caller::Service(), request, snapshot).ok());
  CHECK(snapshot.sequence() == 0);
  CHECK(snapshot.report_stream_sequence() == 0);

  plant.Report();  // of units[1]
  CHECK(snapshots.Get(rpc::Caller::Service(), request, snapshot).code() ==
        absl::StatusCode::kUnavailable);  // nobody stores
  PostgresLocks locks(plant.pool);
  Partitions partitions(plant.store, locks, plant.bus, plant.metrics, {.count = 1, .values_max_bytes = 64 << 20});
  partitions.Start();
  for (int i = 0; i < 20; ++i) {
    plant.Report();
    const std::uint64_t unit_sequence = plant.sequence - (plant.sequence - 1) % plant.units.size();
    snapshot.Clear();
    REQUIRE(snapshots.Get(rpc::Caller::Service(), request, snapshot).ok());
    CHECK(snapshot.sequence() == unit_sequence);
    CHECK(snapshot.request_tag() == "tag" + std::to_string(unit_sequence));
    CHECK(snapshot.report_stream_sequence() == unit_sequence);
  }
  request.set_unit_id(plant.units[0].ToString());
  snapshot.Clear();
  REQUIRE(snapshots.Get(rpc::Caller::Service(), request, snapshot).ok());
  REQUIRE(snapshot.inputs_size() == 1);
  CHECK(snapshot.inputs(0).value().number() == 21);
}

TEST_CASE("what is stored leaves the stream when it is half full, and nothing else does") {
  Plant plant;
  for (int i = 0; i < 20; ++i) plant.Report();
  PostgresLocks locks(plant.pool);
  Partitions partitions(plant.store, locks, plant.bus, plant.metrics, {.count = 1, .values_max_bytes = 100});
  partitions.Start();
  CHECK(Eventually([&] { return plant.bus.GetStreamState(bus::kValuesStream)->messages == 0; }));
  plant.Report();
  CHECK(Eventually([&] { return plant.AllStored(); }));
  plant.CheckExactlyOnce();
}

TEST_CASE("a stream that was deleted is stored from its new beginning") {
  Plant plant;
  PostgresLocks locks(plant.pool);
  Partitions partitions(plant.store, locks, plant.bus, plant.metrics, {.count = 1, .values_max_bytes = 64 << 20});
  partitions.Start();
  for (int i = 0; i < 20; ++i) plant.Report();
  REQUIRE(Eventually([&] { return plant.AllStored(); }));
  plant.nats.Wipe();
  REQUIRE(plant.bus.EnsureStream(bus::ValuesStream(64 << 20, 1), 10s).ok());
  for (int i = 0; i < 5; ++i) plant.Report();
  CHECK(Eventually([&] { return plant.AllStored(); }));
  CHECK(plant.store.CurrentValue(plant.input)->value().value.number() == 25);
}

TEST_CASE("draining a full stream", "[.][bench]") {
  Plant plant;
  constexpr int kMessages = 100'000, kReadings = 4, kUnits = 500;
  std::vector<Uuid> units, outputs;
  for (int i = 0; i < kUnits; ++i) units.push_back(Uuid::New());
  for (int i = 0; i < kUnits * kReadings; ++i) outputs.push_back(Uuid::New());
  std::atomic<int> left = kMessages;
  const std::int64_t now = NowMs();
  for (int i = 0; i < kMessages; ++i) {
    const auto u = static_cast<std::size_t>(i % kUnits);
    ReportMaker report(units[u], static_cast<std::uint64_t>(i), now);
    for (std::size_t r = 0; r < kReadings; ++r) report.Reading(outputs[u * kReadings + r], now + i, Number(i * 0.37));
    std::function<void(bus::PublishResult)> done = [&](const bus::PublishResult& result) {
      if (result.status.ok()) --left;
    };
    while (kMessages - left + 2'000 < i) std::this_thread::sleep_for(1ms);
    plant.bus.Publish("values.0.report." + units[u].ToString(), report.Payload(), {}, done);
  }
  REQUIRE(Eventually([&] { return left == 0; }));
  const std::int64_t begin = MonotonicMs();
  const std::clock_t cpu = std::clock();
  PostgresLocks locks(plant.pool);
  Partitions partitions(plant.store, locks, plant.bus, plant.metrics, {.count = 1, .values_max_bytes = 1 << 30});
  partitions.Start();
  const auto last = plant.bus.GetLastMessage(bus::kValuesStream, "values.>").value()->stream_sequence;
  REQUIRE(Eventually([&] { return plant.store.Applied(0).value() >= last; }, 120s));
  const double seconds = static_cast<double>(MonotonicMs() - begin) / 1000;
  const double own_us = static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC / kMessages * 1e6;
  CHECK(plant.One("SELECT count(*) FROM reading") == std::to_string(kMessages * kReadings));
  // The same rows into the same table, by one COPY from a file: as fast as PostgreSQL takes them. The middle of three.
  partitions.Stop();
  const std::string file = "/tmp/" + plant.schema + ".copy";
  REQUIRE(plant.Exec("COPY (SELECT * FROM reading ORDER BY stream_seq, ord) TO '" + file + "'").ok());
  std::vector<double> rates;
  for (int i = 0; i < 3; ++i) {
    REQUIRE(plant.Exec("TRUNCATE reading").ok());
    const std::int64_t copy_begin = MonotonicMs();
    REQUIRE(plant.Exec("COPY reading FROM '" + file + "'").ok());
    rates.push_back(kMessages * kReadings / (static_cast<double>(MonotonicMs() - copy_begin) / 1000));
  }
  std::filesystem::remove(file);
  std::sort(rates.begin(), rates.end());
  const double per_s = kMessages * kReadings / seconds, copy_per_s = rates[1];
  std::cout << "{\"rows_per_s\": " << per_s << ", \"messages_per_s\": " << kMessages / seconds
            << ", \"copy_rows_per_s\": " << copy_per_s << ", \"ratio\": " << per_s / copy_per_s
            << ", \"own_cpu_us_per_message\": " << own_us << "}" << std::endl;
}
