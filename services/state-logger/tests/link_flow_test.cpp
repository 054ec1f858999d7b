#include "link_flow.h"

#include "fixture.h"

using namespace pepeunit;
using namespace pepeunit::state_logger;

namespace {

constexpr std::int64_t kStart = 1'700'000'000'000;

// One link, and what it brought so far.
struct Flow {
  const Uuid unit = Uuid::New(), target = Uuid::New(), output = Uuid::New(), input = Uuid::New(), link = Uuid::New();
  LinkLimits limits{.per_second = 10, .burst = 2};
  LinkStates states;
  std::uint64_t seq = 0;

  LinkState& state() { return states[link]; }
  ReportMaker At(std::int64_t after_ms, double value, std::uint64_t version = 1) {
    ReportMaker report(unit, seq, kStart + after_ms);
    report.From(version).Delivery(input, target, kStart + after_ms, Number(value), link, output);
    return report;
  }
  Batch Pass(const std::vector<ReportMaker>& reports) {
    Batch batch;
    for (const auto& report : reports) batch.Add(report.At(++seq));
    Carry(limits, &states, &batch);
    return batch;
  }
  Batch Due(std::int64_t after_ms) {
    Batch batch;
    Release(limits, kStart + after_ms, &states, &batch);
    return batch;
  }
  std::optional<double> In(const Batch& batch) {
    const auto row = batch.current().find(input);
    if (row == batch.current().end()) return std::nullopt;
    CHECK(row->second.unit == target);
    CHECK(row->second.input);
    return row->second.value->number();
  }
};

}  // namespace

TEST_CASE("a link carries its burst, then its rate; of what is more the newest waits", "[G5]") {
  Flow f;
  CHECK(f.In(f.Pass({f.At(0, 1)})) == 1);
  CHECK(f.In(f.Pass({f.At(0, 2), f.At(10, 3), f.At(20, 4)})) == 2);
  CHECK(f.state().carried == 2);
  CHECK(f.state().limited == 2);
  CHECK(f.state().carried_ms == kStart);
  CHECK(f.state().limited_ms == kStart + 20);
  REQUIRE(f.state().held);
  CHECK(f.state().held->value.number() == 4);
  CHECK(f.state().held->stream_seq == 4);
  CHECK(f.state().held->due_ms == kStart + 100);

  // Nothing comes after it: it is let through when it is due, once, and as old as it is.
  CHECK_FALSE(f.In(f.Due(99)));
  const Batch released = f.Due(100);
  CHECK(f.In(released) == 4);
  CHECK(released.current().at(f.input).stream_seq == 4);
  CHECK(released.current().at(f.input).time_ms == kStart + 20);
  CHECK_FALSE(f.state().held);
  CHECK(f.state().carried == 3);
  CHECK_FALSE(f.In(f.Due(5'000)));
  // It took a token of the bucket.
  CHECK_FALSE(f.In(f.Pass({f.At(150, 5)})));
  CHECK(f.state().held->due_ms == kStart + 200);
}

TEST_CASE("a bound that is hit is told at once, and again while it goes on, but not with every value", "[G5]") {
  Flow f;
  std::vector<std::pair<common::v1::LinkBound, std::int64_t>> told;
  for (std::int64_t at = 0; at <= 900'000; at += 20) {
    const Batch batch = f.Pass({f.At(at, 1)});
    for (const HeldBackRow& row : batch.held_back()) {
      CHECK(row.link == f.link);
      told.emplace_back(row.bound, row.time_ms);
    }
  }
  REQUIRE(told.size() >= 3);
  CHECK(told.size() <= 4);
  CHECK(told[0].second <= kStart + 100);
  for (std::size_t i = 0; i < told.size(); ++i) CHECK(told[i].first == common::v1::LINK_BOUND_RATE);
  for (std::size_t i = 2; i < told.size(); ++i) CHECK(told[i].second - told[i - 1].second >= kTellBoundMs);
  // The other bound is told by itself; values that do not fit are none.
  ReportMaker unfit(f.unit, f.seq, kStart), beyond(f.unit, f.seq, kStart);
  unfit.From(1).Refusal(f.input, f.target, 2, 0, f.link, f.output);
  beyond.From(1).Refusal(f.input, f.target, 0, 3, f.link, f.output);
  CHECK(f.Pass({unfit}).held_back().empty());
  const Batch batch = f.Pass({beyond, beyond});
  REQUIRE(batch.held_back().size() == 1);
  CHECK(batch.held_back()[0].bound == common::v1::LINK_BOUND_FAN_OUT);
  CHECK(f.state().beyond_fan_out == 6);
}

TEST_CASE("what comes in time replaces what waited", "[G5]") {
  Flow f;
  (void)f.Pass({f.At(0, 1), f.At(0, 2), f.At(0, 3)});
  REQUIRE(f.state().held);
  CHECK(f.In(f.Pass({f.At(100, 4)})) == 4);
  CHECK_FALSE(f.state().held);
  CHECK_FALSE(f.In(f.Due(10'000)));
}

TEST_CASE("a link never carries faster than its rate, and ends with the newest value", "[G5]") {
  Flow f;
  int carried = 0;
  double last = 0;
  const auto count = [&](const Batch& batch) {
    if (const auto value = f.In(batch)) ++carried, last = *value;
  };
  for (int i = 1; i <= 1'000; ++i) {
    count(f.Pass({f.At(i * 7, i)}));
    count(f.Due(i * 7));
  }
  CHECK(carried <= 2 + 70);
  CHECK(carried >= 68);
  count(f.Due(7'100));
  CHECK(last == 1'000);
  CHECK(f.state().carried == carried);
}

TEST_CASE("clocks that disagree give no link more than its rate", "[G5]") {
  Flow f;
  (void)f.Pass({f.At(1'000, 1), f.At(0, 2)});
  for (int i = 0; i < 50; ++i) (void)f.Pass({f.At(i % 2 == 0 ? 1'000 : 0, i)});
  CHECK(f.state().carried == 2);
}

TEST_CASE("a value from a profile in which the link still had its right is void", "[G5]") {
  Flow f;
  f.state().void_before = 5;
  CHECK_FALSE(f.In(f.Pass({f.At(0, 1, 4)})));
  CHECK(f.state().carried == 0);
  CHECK(f.state().limited == 0);
  CHECK(f.In(f.Pass({f.At(0, 2, 5)})) == 2);
  // What a void one overtook in the same batch stays.
  CHECK(f.In(f.Pass({f.At(100, 3, 5), f.At(200, 4, 4)})) == 3);
}

TEST_CASE("what a person writes after a value that waits is not overwritten by it", "[G5][S3]") {
  Flow f;
  (void)f.Pass({f.At(0, 1), f.At(0, 2), f.At(0, 3)});
  Batch batch;
  batch.Add({"values.0.input.x", InputPayload(f.input, f.target, kStart, Number(99)), ++f.seq, ""});
  Release(f.limits, kStart + 1'000, &f.states, &batch);
  CHECK(batch.current().at(f.input).value->number() == 99);
}

TEST_CASE("what did not go on its way is counted", "[G4][G5]") {
  Flow f;
  ReportMaker report(f.unit, 1, kStart);
  report.Refusal(f.input, f.target, 3, 2, f.link, f.output);
  (void)f.Pass({report, report});
  CHECK(f.state().unfit == 6);
  CHECK(f.state().beyond_fan_out == 4);
  CHECK(f.state().refused_ms == kStart);
  CHECK(f.state().carried == 0);
  CHECK(f.state().target == f.target);
}
