#pragma once

#include <memory>
#include <pqxx/pqxx>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "pepeunit/bus/bus.h"
#include "pepeunit/bus/v1/events.pb.h"
#include "pepeunit/postgres/pool.h"

// Transactional outbox (https://microservices.io/patterns/data/transactional-outbox.html): a change and the event that
// tells of it commit together; a relay publishes the events to the stream EVENTS in order and deletes them after the
// ack. The table `outbox` lives in the schema of the service:
//   CREATE TABLE outbox (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, subject text NOT NULL,
//                        payload bytea NOT NULL, traceparent text NOT NULL, created_at timestamptz NOT NULL DEFAULT
//                        now());
namespace pepeunit::outbox {

// Writes the event into the transaction. `id` and `time_ms` are filled in by the relay.
void Append(pqxx::work& tx, const std::string& subject, const pepeunit::bus::v1::Event& event);

// The same for many events in one statement, in their order.
struct Entry {
  std::string subject;
  pepeunit::bus::v1::Event event;
};
void AppendAll(pqxx::work& tx, const std::vector<Entry>& entries);

// Publishes what Append wrote, one relay at a time among the replicas (an advisory lock of PostgreSQL). At least once:
// a message id makes repeats within the stream's window invisible.
class Relay {
 public:
  // `schema` names the writer: message ids are `<schema>:<outbox id>`.
  Relay(postgres::Pool& pool, bus::Bus& bus, std::string schema);
  ~Relay();  // Stop()
  void Start();
  // Call after a commit that appended: publishes at once instead of at the next poll (250 ms). Thread-safe.
  void Kick();
  void Stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pepeunit::outbox
