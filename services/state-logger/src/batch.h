#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "pepeunit/base/uuid.h"
#include "pepeunit/bus/bus.h"
#include "pepeunit/bus/v1/values.pb.h"

namespace pepeunit::state_logger {

struct ReadingRow {
  Uuid variable;
  std::int64_t time_ms;
  std::uint64_t stream_seq;
  int ord;
  bus::v1::Scalar value;
};

struct CurrentRow {
  Uuid variable, unit;
  bool input = false;
  bus::v1::Scalar value;
  std::int64_t time_ms = 0;
  std::uint64_t stream_seq = 0;
};

struct UnitRow {
  Uuid unit;
  std::string state;  // empty: keep what is there
  std::int64_t last_seen_ms = 0;
  std::uint64_t sequence = 0;
  std::string request_tag;
  std::uint64_t stream_seq = 0;
};

// What a run of messages of one partition changes, merged: all readings, and the newest of everything else. Pure.
class Batch {
 public:
  // Messages must come in the order of the stream. One that cannot be read is counted and passed over: it would stop
  // the partition for ever.
  void Add(const bus::Message& message);

  std::uint64_t last_sequence() const { return last_sequence_; }
  std::size_t unreadable() const { return unreadable_; }
  const std::vector<ReadingRow>& readings() const { return readings_; }
  // Sorted by id, so that writers of several partitions lock rows in one order.
  const std::map<Uuid, CurrentRow>& current() const { return current_; }
  const std::map<Uuid, UnitRow>& units() const { return units_; }

  // Drops what belongs to variables and units that are gone.
  void Remove(const std::set<Uuid>& gone);

 private:
  void AddReport(const bus::v1::Report& report, std::uint64_t seq);
  void AddCurrent(CurrentRow row);

  std::vector<ReadingRow> readings_;
  std::map<Uuid, CurrentRow> current_;
  std::map<Uuid, UnitRow> units_;
  std::uint64_t last_sequence_ = 0;
  std::size_t unreadable_ = 0;
};

}  // namespace pepeunit::state_logger
