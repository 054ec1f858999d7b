#include "keeping.h"

#include <algorithm>
#include <random>

#include "fixture.h"

using namespace pepeunit;
using namespace pepeunit::state_logger;

namespace {

constexpr auto kMean = common::v1::LOGGING_MODE_MEAN;
constexpr auto kMedian = common::v1::LOGGING_MODE_MEDIAN;
constexpr auto kOnChange = common::v1::LOGGING_MODE_ON_CHANGE;
constexpr auto kRate = common::v1::LOGGING_MODE_RATE;

const Uuid kTheUnit = Uuid::New(), kTheOutput = Uuid::New();

double PlainMedian(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

// The times of what is kept of samples of one variable.
struct Keeper {
  KeepingState state;
  std::uint64_t seq = 0;

  std::vector<std::int64_t> Keep(const common::v1::Logging& policy,
                                 const std::vector<std::pair<std::int64_t, bus::v1::Scalar>>& samples) {
    ReportMaker report(kTheUnit, ++seq);
    for (const auto& [time, value] : samples) report.Sample(kTheOutput, time, value, policy);
    Batch batch;
    batch.Add(report.At(seq));
    CHECK(batch.readings().empty());
    state_logger::Keep(50'000, &state, &batch);
    std::vector<std::int64_t> times;
    for (const ReadingRow& row : batch.readings()) times.push_back(row.time_ms);
    return times;
  }
};
using Times = std::vector<std::int64_t>;

bus::v1::Scalar Boolean(bool value) {
  bus::v1::Scalar scalar;
  scalar.set_boolean(value);
  return scalar;
}

}  // namespace

TEST_CASE("windows begin at multiples of their length, and sum up all that came for them", "[D3]") {
  Keeper k;
  CHECK(k.Keep(Policy(kMean, 60), {{119'999, Number(1)}, {120'000, Number(5)}, {179'999, Number(-2)}}).empty());
  k.Keep(Policy(kMean, 60), {{130'000, Number(9)}, {60'000, Boolean(true)}});
  REQUIRE(k.state.windows.size() == 2);
  const Window& first = k.state.windows.at({kTheOutput, 60'000, 60'000});
  CHECK(first.count == 2);
  CHECK(first.value() == 1);
  CHECK(first.last_ms == 119'999);
  CHECK(first.due_ms == 60'000 + 60'000 + 10'000);
  const Window& second = k.state.windows.at({kTheOutput, 120'000, 60'000});
  CHECK(second.count == 3);
  CHECK(second.sum == 12);
  CHECK(second.minimum == -2);
  CHECK(second.maximum == 9);
  CHECK(second.last == -2);  // by the time of measuring
  CHECK(second.value() == 4);
}

TEST_CASE("what comes for a window that is over keeps it open for its grace", "[D3]") {
  Keeper k;
  auto policy = Policy(kMean, 10);
  policy.set_grace_s(5);
  k.Keep(policy, {{0, Number(1)}});
  CHECK(k.state.windows.begin()->second.due_ms == 55'000);  // it is 50 s already
  policy.set_grace_s(0);
  k.Keep(policy, {{1, Number(1)}});
  CHECK(k.state.windows.begin()->second.due_ms == 50'000);
}

TEST_CASE("a closed window and what came after it become one", "[D3]") {
  Window closed, late;
  closed.count = 3, closed.sum = 9, closed.minimum = 1, closed.maximum = 5, closed.last = 5, closed.last_ms = 30;
  closed.median = 3;
  late.count = 1, late.sum = -7, late.minimum = -7, late.maximum = -7, late.last = -7, late.last_ms = 10;
  late.median = -7;
  closed.Merge(late);
  CHECK(closed.count == 4);
  CHECK(closed.sum == 2);
  CHECK(closed.minimum == -7);
  CHECK(closed.maximum == 5);
  CHECK(closed.last == 5);
  CHECK(closed.median == 3);
}

TEST_CASE("on change: the first, what differs by more than the dead band, and at the longest after a time", "[D3]") {
  Keeper k;
  CHECK(k.Keep(Policy(kOnChange), {{1, Number(1)}, {2, Number(1)}, {3, Number(1.5)}, {4, Text("1.5")}}) ==
        Times{1, 3, 4});
  Keeper band;
  CHECK(band.Keep(Policy(kOnChange, 0, 0, 0.5),
                  {{1, Number(20)}, {2, Number(20.5)}, {3, Number(20.51)}, {4, Number(20.2)}, {5, Number(20.0)}}) ==
        Times{1, 3, 5});
  Keeper slow;  // by its distance from what was kept, so a slow drift is not lost
  CHECK(slow.Keep(Policy(kOnChange, 0, 0, 1), {{1, Number(0)}, {2, Number(0.9)}, {3, Number(1.8)}, {4, Number(2.7)}}) ==
        Times{1, 3});
  Keeper heartbeat;
  CHECK(heartbeat.Keep(Policy(kOnChange, 0, 10), {{0, Text("a")}, {9'999, Text("a")}, {10'000, Text("a")}}) ==
        Times{0, 10'000});
  Keeper older;  // nothing says what was before it
  CHECK(older.Keep(Policy(kOnChange), {{5, Number(1)}, {4, Number(1)}, {6, Number(1)}}) == Times{5, 4});
}

TEST_CASE("a rate keeps the first of each stretch, also of those that come late", "[D3]") {
  Keeper k;
  CHECK(k.Keep(Policy(kRate, 0, 10), {{0, Number(1)}, {9'999, Number(2)}, {10'001, Text("x")}, {25'000, Number(4)}}) ==
        Times{0, 10'001, 25'000});
  CHECK(k.Keep(Policy(kRate, 0, 10), {{24'000, Number(1)}, {29'999, Number(1)}}).empty());
  k.state.occupied = {{kTheOutput, 0, 10'000}};  // as the history says
  CHECK(k.Keep(Policy(kRate, 0, 10), {{5'000, Number(1)}, {12'000, Number(1)}, {13'000, Number(1)}}) == Times{12'000});
}

TEST_CASE("medians are exact up to 256 readings", "[D3]") {
  std::mt19937_64 random(7);
  std::normal_distribution<double> normal(-3, 40);
  std::vector<double> values;
  Median median;
  CHECK(median.Get() == 0);
  while (values.size() < Median::kExact) {
    values.push_back(normal(random));
    median.Add(values.back());
    if (values.size() % 7 == 0) median = Median::Parse(median.Serialize());
    REQUIRE(median.Get() == Approx(PlainMedian(values)).epsilon(1e-15));
  }
}

TEST_CASE("beyond it they are within the stated accuracy", "[D3]") {
  const auto [name, draw] = GENERATE(table<const char*, std::function<double(std::mt19937_64&)>>({
      {"uniform", [](auto& r) { return std::uniform_real_distribution<double>(0, 100)(r); }},
      {"both signs", [](auto& r) { return std::normal_distribution<double>(5, 100)(r); }},
      {"exponential", [](auto& r) { return std::exp(std::normal_distribution<double>(0, 3)(r)); }},
      {"few values", [](auto& r) { return static_cast<double>(r() % 3); }},
      {"negative", [](auto& r) { return -std::uniform_real_distribution<double>(1e-3, 1e3)(r); }},
  }));
  INFO(name);
  std::mt19937_64 random(11);
  std::vector<double> values;
  Median median;
  for (int i = 0; i < 20'001; ++i) {
    values.push_back(draw(random));
    median.Add(values.back());
    if (i % 1'000 == 0) median = Median::Parse(median.Serialize());
  }
  const double exact = PlainMedian(values);
  CHECK(std::fabs(median.Get() - exact) <= Median::kAccuracy * std::fabs(exact) * 1.001);
  CHECK(median.Serialize().size() <= 40'000);
}

TEST_CASE("what is no serialized median is an empty one") {
  for (const char* bytes : {"", "x", "\xff\xff\xff\xff\xff\xff\xff\xff\xff", "\x02\x01"}) {
    CHECK(Median::Parse(bytes).Get() == Median::Parse(bytes).Get());
  }
}
