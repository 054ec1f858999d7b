#include "input_news.h"

#include <chrono>

#include "pepeunit/base/errors.h"

namespace pepeunit::state_logger {

absl::Status TellInputs(bus::Bus& bus, const Batch& batch) {
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
