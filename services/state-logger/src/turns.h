#pragma once

#include "pepeunit/bus/bus.h"
#include "pepeunit/runtime/turn_thread.h"
#include "postgres_rollups.h"
#include "sleep.h"
#include "store.h"

namespace pepeunit::state_logger {

// What happens to values by itself, when its time has come, also when nothing comes after them. Replicas share it.
class Turns {
 public:
  Turns(bus::Bus& bus, ValueStore& store, PostgresRollups& rollups, AfterSleep after_sleep = {});
  void Start();
  void Stop();

 private:
  absl::StatusOr<std::chrono::milliseconds> ReleaseHeld();

  bus::Bus& bus_;
  ValueStore& store_;
  PostgresRollups& rollups_;
  Sleep sleep_;
  runtime::TurnThread held_, windows_, rollup_;
};

}  // namespace pepeunit::state_logger
