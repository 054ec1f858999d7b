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
#include "pepeunit/common/v1/types.pb.h"

namespace pepeunit::state_logger {

// `value` points into the batch that the row belongs to. Times lie between the years 1970 and 2100.
struct ReadingRow {
  Uuid variable, unit;
  std::int64_t time_ms;
  std::uint64_t stream_seq;
  int ord;
  const bus::v1::Scalar* value;
};

// A reading of a variable of which not all are kept (see keeping.h). `policy` points into the batch, as `value` does.
struct SampleRow {
  Uuid variable, unit;
  std::int64_t time_ms;
  std::uint64_t stream_seq;
  int ord;
  const bus::v1::Scalar* value;
  const common::v1::Logging* policy;
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

// The way that a link leads.
struct Way {
  Uuid link, unit, output, input, target;  // `unit` has the output, `target` the input
};

// A value on its way along a link. `value` points into the batch.
struct DeliveryRow {
  Way way;
  const bus::v1::Scalar* value;
  std::int64_t time_ms, received_ms;
  std::uint64_t version;  // of the profile that it was made from
  std::uint64_t stream_seq;
};

// Values that did not go on their way.
struct RefusalRow {
  Way way;
  std::uint32_t unfit, beyond_fan_out;
  std::int64_t received_ms;
};

// A bound that held back values of a link, to be told.
struct HeldBackRow {
  Uuid link;
  common::v1::LinkBound bound;
  std::int64_t time_ms;
};

// What a run of messages of one partition changes, merged: all readings, and the newest of everything else. For inputs
// the later message is the newer; for outputs the time of measuring decides, because a device may send what it measured
// while it was offline after what it measures now. What links carry is kept apart until it is known what may pass (see
// link_flow.h). Pure; copies share the values.
class Batch {
 public:
  Batch() : arena_(std::make_shared<google::protobuf::Arena>()) {}

  // Messages must come in the order of the stream. One that cannot be read is counted and passed over: it would stop
  // the partition for ever.
  void Add(const bus::Message& message);
  void PassOver(const bus::Message& message);

  std::uint64_t last_sequence() const { return last_sequence_; }
  std::size_t unreadable() const { return unreadable_; }
  std::size_t rows() const {
    return readings_.size() + samples_.size() + current_.size() + units_.size() + deliveries_.size() + refusals_.size();
  }
  const std::vector<ReadingRow>& readings() const { return readings_; }
  // In the order of the stream.
  const std::vector<SampleRow>& samples() const { return samples_; }
  void AddReading(const ReadingRow& row) { readings_.push_back(row); }
  // Sorted by id, so that writers of several partitions lock rows in one order.
  const std::map<Uuid, CurrentRow>& current() const { return current_; }
  const std::map<Uuid, UnitRow>& units() const { return units_; }

  // In the order of the stream.
  const std::vector<DeliveryRow>& deliveries() const { return deliveries_; }
  const std::vector<RefusalRow>& refusals() const { return refusals_; }
  bool has_links() const { return !deliveries_.empty() || !refusals_.empty(); }

  // A copy without what belongs to variables, units and links that are gone.
  Batch Without(const std::set<Uuid>& gone) const;
  // Keeps the row if it is newer than what is there.
  void AddCurrent(const CurrentRow& row);
  void AddHeldBack(const HeldBackRow& row) { held_back_.push_back(row); }
  const std::vector<HeldBackRow>& held_back() const { return held_back_; }
  // A copy that lives as long as the batch.
  const bus::v1::Scalar* Own(const bus::v1::Scalar& value);

 private:
  void AddReport(const bus::v1::Report& report, std::uint64_t seq);
  void AddLinks(const bus::v1::Report& report, const Uuid& unit, std::uint64_t seq);

  std::shared_ptr<google::protobuf::Arena> arena_;  // the parsed messages
  std::vector<ReadingRow> readings_;
  std::vector<SampleRow> samples_;
  std::map<Uuid, CurrentRow> current_;
  std::map<Uuid, UnitRow> units_;
  std::vector<DeliveryRow> deliveries_;
  std::vector<RefusalRow> refusals_;
  std::vector<HeldBackRow> held_back_;
  std::uint64_t last_sequence_ = 0;
  std::size_t unreadable_ = 0;
};

}  // namespace pepeunit::state_logger
