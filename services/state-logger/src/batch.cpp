#include "batch.h"

#include <algorithm>
#include <optional>

namespace pepeunit::state_logger {
namespace {

// Each month of readings is a table, so no message may make them without end. Writers of the stream keep closer bounds.
std::int64_t Bounded(std::int64_t time_ms) {
  constexpr std::int64_t kYear2100 = 4'102'444'800'000;
  return std::clamp<std::int64_t>(time_ms, 0, kYear2100 - 1);
}

// Of a delivery or a refusal.
template <typename Message>
std::optional<Way> WayOf(const Message& message, const Uuid& unit) {
  const auto link = Uuid::FromBytes(message.link_id()), input = Uuid::FromBytes(message.input_id()),
             target = Uuid::FromBytes(message.unit_id());
  if (!link || !input || !target) return std::nullopt;
  return Way{*link, unit, Uuid::FromBytes(message.output_id()).value_or(Uuid{}), *input, *target};
}

}  // namespace

void Batch::PassOver(const bus::Message& message) {
  last_sequence_ = message.stream_sequence;
  ++unreadable_;
}

void Batch::Add(const bus::Message& message) {
  auto* value = google::protobuf::Arena::CreateMessage<bus::v1::ValueMessage>(arena_.get());
  if (!value->ParseFromString(message.payload)) return PassOver(message);
  last_sequence_ = message.stream_sequence;
  if (value->has_report()) return AddReport(value->report(), message.stream_sequence);
  const bus::v1::InputWrite& write = value->input();
  const auto input = Uuid::FromBytes(write.input_id()), unit = Uuid::FromBytes(write.unit_id());
  if (!value->has_input() || !input || !unit) return PassOver(message);
  AddCurrent({*input, *unit, true, &write.value(), Bounded(write.time_ms()), message.stream_sequence});
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
  row.last_seen_ms = Bounded(report.received_ms());
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
    const std::int64_t time_ms = Bounded(reading.time_ms());
    const auto policy = static_cast<int>(reading.policy());
    if (policy > 0 && policy <= report.policies_size()) {
      samples_.push_back({*variable, *unit, time_ms, seq, ord++, &reading.value(), &report.policies(policy - 1)});
    } else if (!reading.unlogged()) {
      readings_.push_back({*variable, *unit, time_ms, seq, ord++, &reading.value()});
    }
    AddCurrent({*variable, *unit, false, &reading.value(), time_ms, seq});
  }
  AddLinks(report, *unit, seq);
}

void Batch::AddLinks(const bus::v1::Report& report, const Uuid& unit, std::uint64_t seq) {
  const std::int64_t received_ms = Bounded(report.received_ms());
  for (const auto& delivery : report.deliveries()) {
    const auto way = WayOf(delivery, unit);
    if (way) {
      deliveries_.push_back(
          {*way, &delivery.value(), Bounded(delivery.time_ms()), received_ms, report.profile_version(), seq});
    } else {
      ++unreadable_;
    }
  }
  for (const auto& refusal : report.refusals()) {
    const auto way = WayOf(refusal, unit);
    if (way) {
      refusals_.push_back({*way, refusal.unfit(), refusal.beyond_fan_out(), received_ms});
    } else {
      ++unreadable_;
    }
  }
}

// The same rule as in UpsertCurrent, so that it makes no difference where one batch ends and the next begins.
void Batch::AddCurrent(const CurrentRow& row) {
  const auto [at, fresh] = current_.try_emplace(row.variable, row);
  if (fresh) return;
  if (row.input ? row.stream_seq >= at->second.stream_seq : row.time_ms >= at->second.time_ms) at->second = row;
}

const bus::v1::Scalar* Batch::Own(const bus::v1::Scalar& value) {
  auto* own = google::protobuf::Arena::CreateMessage<bus::v1::Scalar>(arena_.get());
  *own = value;
  return own;
}

Batch Batch::Without(const std::set<Uuid>& gone) const {
  Batch kept = *this;
  const auto of_gone = [&](const auto& row) { return gone.count(row.variable) != 0 || gone.count(row.unit) != 0; };
  std::erase_if(kept.readings_, of_gone);
  std::erase_if(kept.samples_, of_gone);
  std::erase_if(kept.current_, [&](const auto& c) { return of_gone(c.second); });
  const auto touches = [&](const auto& row) {
    const Way& way = row.way;
    for (const Uuid& id : {way.link, way.unit, way.output, way.input, way.target}) {
      if (gone.count(id) != 0) return true;
    }
    return false;
  };
  std::erase_if(kept.deliveries_, touches);
  std::erase_if(kept.refusals_, touches);
  std::erase_if(kept.units_, [&](const auto& u) { return gone.count(u.first) != 0; });
  return kept;
}

}  // namespace pepeunit::state_logger
