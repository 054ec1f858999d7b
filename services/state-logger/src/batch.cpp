#include "batch.h"

#include <algorithm>

namespace pepeunit::state_logger {

void Batch::Add(const bus::Message& message) {
  last_sequence_ = message.stream_sequence;
  bus::v1::ValueMessage value;
  if (!value.ParseFromString(message.payload)) {
    ++unreadable_;
    return;
  }
  if (value.has_report()) {
    AddReport(value.report(), message.stream_sequence);
    return;
  }
  const auto input = Uuid::FromBytes(value.input().input_id()), unit = Uuid::FromBytes(value.input().unit_id());
  if (!value.has_input() || !input || !unit) {
    ++unreadable_;
    return;
  }
  AddCurrent({*input, *unit, true, value.input().value(), value.input().time_ms(), message.stream_sequence});
}

void Batch::AddReport(const bus::v1::Report& report, std::uint64_t seq) {
  const auto unit = Uuid::FromBytes(report.unit_id());
  if (!unit) {
    ++unreadable_;
    return;
  }
  UnitRow& row = units_[*unit];
  row.unit = *unit;
  if (!report.unit_state().empty()) row.state = report.unit_state();
  row.last_seen_ms = report.received_ms();
  row.sequence = report.sequence();
  row.request_tag = report.request_tag();
  row.stream_seq = seq;
  int ord = 0;
  for (const auto& reading : report.readings()) {
    const auto variable = Uuid::FromBytes(reading.variable_id());
    if (!variable) {
      ++unreadable_;
      continue;
    }
    if (!reading.unlogged()) readings_.push_back({*variable, reading.time_ms(), seq, ord++, reading.value()});
    AddCurrent({*variable, *unit, false, reading.value(), reading.time_ms(), seq});
  }
  for (const auto& delivery : report.deliveries()) {
    const auto input = Uuid::FromBytes(delivery.input_id()), target = Uuid::FromBytes(delivery.unit_id());
    if (!input || !target) {
      ++unreadable_;
      continue;
    }
    AddCurrent({*input, *target, true, delivery.value(), delivery.time_ms(), seq});
  }
}

// Within a report, older readings may come after newer ones: the newest time wins; between messages, the later one.
void Batch::AddCurrent(CurrentRow row) {
  auto [at, fresh] = current_.try_emplace(row.variable, row);
  if (fresh) return;
  if (row.stream_seq > at->second.stream_seq || row.time_ms >= at->second.time_ms) at->second = std::move(row);
}

void Batch::Remove(const std::set<Uuid>& gone) {
  if (gone.empty()) return;
  std::erase_if(readings_, [&](const ReadingRow& r) { return gone.count(r.variable) != 0; });
  std::erase_if(current_, [&](const auto& c) { return gone.count(c.first) != 0 || gone.count(c.second.unit) != 0; });
  std::erase_if(units_, [&](const auto& u) { return gone.count(u.first) != 0; });
}

}  // namespace pepeunit::state_logger
