#pragma once

#include <google/protobuf/arena.h>

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "pepeunit/base/uuid.h"
#include "pepeunit/bus/bus.h"
#include "pepeunit/bus/v1/values.pb.h"

namespace pepeunit::state_logger {

// `value` points into the batch that the row belongs to. Times lie between the years 1970 and 2100.
struct ReadingRow {
  Uuid variable;
  std::int64_t time_ms;
  std::uint64_t stream_seq;
  int ord;
  const bus::v1::Scalar* value;
};

struct CurrentRow {
  Uuid variable, unit;
  bool input = false;
  const bus::v1::Scalar* value = nullptr;
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

// What a run of messages of one partition changes, merged: all readings, and the newest of everything else. For inputs
// the later message is the newer; for outputs the time of measuring decides, because a device may send what it measured
// while it was offline after what it measures now. Pure; copies share the values.
class Batch {
 public:
  Batch() : arena_(std::make_shared<google::protobuf::Arena>()) {}

  // Messages must come in the order of the stream. One that cannot be read is counted and passed over: it would stop
  // the partition for ever.
  void Add(const bus::Message& message);
  void PassOver(const bus::Message& message);

  std::uint64_t last_sequence() const { return last_sequence_; }
  std::size_t unreadable() const { return unreadable_; }
  std::size_t rows() const { return readings_.size() + current_.size() + units_.size(); }
  const std::vector<ReadingRow>& readings() const { return readings_; }
  // Sorted by id, so that writers of several partitions lock rows in one order.
  const std::map<Uuid, CurrentRow>& current() const { return current_; }
  const std::map<Uuid, UnitRow>& units() const { return units_; }

  // A copy without what belongs to variables and units that are gone.
  Batch Without(const std::set<Uuid>& gone) const;

 private:
  void AddReport(const bus::v1::Report& report, std::uint64_t seq);
  void AddCurrent(const CurrentRow& row);

  std::shared_ptr<google::protobuf::Arena> arena_;  // the parsed messages
  std::vector<ReadingRow> readings_;
  std::map<Uuid, CurrentRow> current_;
  std::map<Uuid, UnitRow> units_;
  std::uint64_t last_sequence_ = 0;
  std::size_t unreadable_ = 0;
};

}  // namespace pepeunit::state_logger
