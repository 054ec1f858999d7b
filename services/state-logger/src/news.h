#pragma once

#include "batch.h"
#include "pepeunit/bus/bus.h"

namespace pepeunit::state_logger {

// Tells the replicas of unit-ingest which inputs the batch changes, and returns when the bus has it; and the stream
// EVENTS which bounds links hit, which is not waited for. Call it before the commit: a crash after the commit could not
// tell any more, and one before it tells again.
absl::Status TellNews(bus::Bus& bus, const Batch& batch);

}  // namespace pepeunit::state_logger
