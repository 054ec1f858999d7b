#include "pepeunit/outbox/outbox.h"

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "pepeunit/base/backoff.h"
#include "pepeunit/base/bytes.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/base/log.h"
#include "pepeunit/base/trace.h"

namespace pepeunit::outbox {
namespace {

constexpr int kBatch = 200;

struct Row {
  std::uint64_t id;
  std::string subject, payload, traceparent;
};

std::vector<Row> ReadBatch(pqxx::work& tx) {
  std::vector<Row> rows;
  const auto result = tx.exec(
      "SELECT id, subject, payload, traceparent, (extract(epoch FROM created_at) * 1000)::bigint FROM outbox"
      " ORDER BY id LIMIT " +
      std::to_string(kBatch));
  for (const auto& r : result) {
    bus::v1::Event event;
    const pqxx::binarystring raw(r[2]);
    if (!event.ParseFromArray(raw.data(), static_cast<int>(raw.size()))) {
      log::Error("an event in the outbox cannot be read; readers will pass it over", {{"id", r[0].as<std::uint64_t>()}});
    }
    event.set_id(r[0].as<std::uint64_t>());
    event.set_time_ms(r[4].as<std::int64_t>());
    rows.push_back({event.id(), r[1].c_str(), event.SerializeAsString(), r[3].c_str()});
  }
  return rows;
}

}  // namespace

void Append(pqxx::work& tx, const std::string& subject, const pepeunit::bus::v1::Event& event) {
  const std::string payload = event.SerializeAsString();
  const std::string trace = CurrentTrace().valid() ? CurrentTrace().ToTraceparent() : "";
  tx.exec_params("INSERT INTO outbox (subject, payload, traceparent) VALUES ($1, $2, $3)", subject,
                 pqxx::binarystring(payload), trace);
}

void AppendAll(pqxx::work& tx, const std::vector<Entry>& entries) {
  if (entries.empty()) return;
  // Neither a subject nor hex digits need escaping.
  std::string subjects, payloads;
  for (const Entry& entry : entries) {
    const char* comma = subjects.empty() ? "" : ",";
    subjects += comma + entry.subject;
    payloads += comma + HexEncode(AsBytes(entry.event.SerializeAsString()));
  }
  tx.exec_params(
      "INSERT INTO outbox (subject, payload, traceparent) SELECT e.subject, decode(e.payload, 'hex'), $3"
      " FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS e (subject, payload, place) ORDER BY e.place",
      '{' + subjects + '}', '{' + payloads + '}', CurrentTrace().valid() ? CurrentTrace().ToTraceparent() : "");
}

struct Relay::Impl {
  Impl(postgres::Pool& p, bus::Bus& b, std::string s) : pool(p), bus(b), schema(std::move(s)) {}

  // How many events were published; a whole batch means that there may be more.
  absl::StatusOr<int> PublishBatch() {
    return pool.Query<int>("outbox", [this](pqxx::work& tx) -> absl::StatusOr<int> {
      const auto locked =
          tx.exec1("SELECT pg_try_advisory_xact_lock(hashtext(" + tx.quote("pepeunit outbox " + schema) + "))");
      if (!locked[0].as<bool>()) return 0;
      const std::vector<Row> rows = ReadBatch(tx);
      if (rows.empty()) return 0;
      PEPEUNIT_RETURN_IF_ERROR(PublishAll(rows));
      tx.exec_params("DELETE FROM outbox WHERE id = ANY($1::bigint[])", Ids(rows));
      return static_cast<int>(rows.size());
    });
  }

  static std::string Ids(const std::vector<Row>& rows) {
    std::string ids = "{";
    for (const Row& row : rows) ids += (ids.size() > 1 ? "," : "") + std::to_string(row.id);
    return ids + "}";
  }

  // All on their way at once: the server keeps the order of one connection. One that fails fails the batch, which is
  // then published again; the message ids hide the repeats.
  absl::Status PublishAll(const std::vector<Row>& rows) {
    struct Wait {
      std::mutex mutex;
      std::condition_variable changed;
      std::size_t left;
      absl::Status first;
    };
    auto wait = std::make_shared<Wait>();
    wait->left = rows.size();
    for (const Row& row : rows) {
      bus.Publish(row.subject, row.payload,
                  {.expected_last_subject_sequence = {},
                   .message_id = schema + ":" + std::to_string(row.id),
                   .traceparent = row.traceparent},
                  [wait](const bus::PublishResult& result) {
                    std::lock_guard lock(wait->mutex);
                    if (wait->first.ok()) wait->first = result.status;
                    if (--wait->left == 0) wait->changed.notify_all();
                  });
    }
    std::unique_lock lock(wait->mutex);
    wait->changed.wait(lock, [&] { return wait->left == 0; });
    return wait->first;
  }

  void Loop() {
    Backoff backoff(std::chrono::milliseconds(250), std::chrono::milliseconds(5'000));
    for (;;) {
      const auto published = bus.connected() ? PublishBatch() : absl::StatusOr<int>(0);
      auto pause = std::chrono::milliseconds(250);
      if (!published.ok()) {
        log::Warning("events wait in the outbox", {{"status", published.status()}});
        pause = backoff.Next();
      } else {
        backoff.Reset();
      }
      std::unique_lock lock(mutex);
      if (published.ok() && *published == kBatch && !stop) continue;
      wake.wait_for(lock, pause, [this] { return stop || kicked; });
      kicked = false;
      if (stop) return;
    }
  }

  postgres::Pool& pool;
  bus::Bus& bus;
  std::string schema;
  std::mutex mutex;
  std::condition_variable wake;
  bool kicked = false, stop = false;
  std::thread thread;
};

Relay::Relay(postgres::Pool& pool, bus::Bus& bus, std::string schema)
    : impl_(std::make_unique<Impl>(pool, bus, std::move(schema))) {}

Relay::~Relay() { Stop(); }

void Relay::Start() {
  impl_->thread = std::thread([impl = impl_.get()] { impl->Loop(); });
}

void Relay::Kick() {
  {
    std::lock_guard lock(impl_->mutex);
    impl_->kicked = true;
  }
  impl_->wake.notify_all();
}

void Relay::Stop() {
  {
    std::lock_guard lock(impl_->mutex);
    impl_->stop = true;
  }
  impl_->wake.notify_all();
  if (impl_->thread.joinable()) impl_->thread.join();
}

}  // namespace pepeunit::outbox
