#include "news.h"

#include <chrono>

#include "pepeunit/base/errors.h"
#include "pepeunit/base/log.h"
#include "pepeunit/bus/v1/events.pb.h"

namespace pepeunit::state_logger {
namespace {

void TellHeldBack(bus::Bus& bus, const HeldBackRow& row) {
  bus::v1::Event event;
  event.set_time_ms(row.time_ms);
  auto* held_back = event.mutable_link_held_back();
  held_back->set_link_id(row.link.ToString());
  held_back->set_bound(row.bound);
  held_back->set_time_ms(row.time_ms);
  const std::string link = row.link.ToString();
  bus::PublishOptions options;
  options.message_id = "log:" + link + ':' + std::to_string(row.bound) + ':' + std::to_string(row.time_ms);
  bus.Publish("events.log.link." + link, event.SerializeAsString(), options, [link](const bus::PublishResult& result) {
    if (!result.status.ok()) log::Warning("a link's bound is told later", {{"link", link}, {"status", result.status}});
  });
}

}  // namespace

absl::Status TellNews(bus::Bus& bus, const Batch& batch) {
  for (const HeldBackRow& row : batch.held_back()) TellHeldBack(bus, row);
  bool any = false;
  for (const auto& [id, row] : batch.current()) {
    if (!row.input) continue;
    bus::v1::InputChanged changed;
    changed.set_unit_id(row.unit.ToBytes());
    changed.set_input_id(id.ToBytes());
    *changed.mutable_value() = *row.value;
    changed.set_time_ms(row.time_ms);
    changed.set_stream_sequence(row.stream_seq);
    PEPEUNIT_RETURN_IF_ERROR(bus.PublishCore("inputs." + row.unit.ToString(), changed.SerializeAsString()));
    any = true;
  }
  return any ? bus.Flush(std::chrono::seconds(2)) : absl::OkStatus();
}

}  // namespace pepeunit::state_logger
