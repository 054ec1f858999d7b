#include "turns.h"

#include "news.h"
#include "pepeunit/base/clock.h"
#include "pepeunit/base/errors.h"

namespace pepeunit::state_logger {

Turns::Turns(bus::Bus& bus, ValueStore& store, PostgresRollups& rollups, AfterSleep after_sleep)
    : bus_(bus),
      store_(store),
      rollups_(rollups),
      sleep_(std::move(after_sleep)),
      held_("values that wait for the rate of their link", [this] { return ReleaseHeld(); }),
      windows_("means and medians", [this] { return runtime::UntilNext(store_.CloseWindows(NowMs())); }),
      rollup_("roll-ups", [this] { return runtime::UntilNext(rollups_.Advance(NowMs()), std::chrono::seconds(5)); }) {}

void Turns::Start() {
  held_.Start();
  windows_.Start();
  rollup_.Start();
}

void Turns::Stop() {
  held_.Stop();
  windows_.Stop();
  rollup_.Stop();
}

absl::StatusOr<std::chrono::milliseconds> Turns::ReleaseHeld() {
  PEPEUNIT_RETURN_IF_ERROR(sleep_.Check());
  PEPEUNIT_ASSIGN_OR_RETURN(const bool waiting, store_.ReleaseHeld(NowMs(), [this](const Batch& released) {
    return TellNews(bus_, released);
  }));
  return std::chrono::milliseconds(waiting ? 100 : 500);
}

}  // namespace pepeunit::state_logger
