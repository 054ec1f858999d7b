#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "pepeunit/bus/bus.h"
#include "sleep.h"
#include "store.h"

namespace pepeunit::state_logger {

// Lets values that waited for the rate of their link through when they are due, also when nothing comes after them.
// Replicas share the work. Looks ten times a second while any wait, and twice else, on a thread of its own.
class HeldValues {
 public:
  HeldValues(bus::Bus& bus, ValueStore& store, AfterSleep after_sleep = {})
      : bus_(bus), store_(store), after_sleep_(std::move(after_sleep)) {}
  ~HeldValues() { Stop(); }
  void Start();
  void Stop();

 private:
  void Loop();

  bus::Bus& bus_;
  ValueStore& store_;
  const AfterSleep after_sleep_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace pepeunit::state_logger
