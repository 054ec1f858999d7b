#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "expression.h"

namespace pepeunit::promql {

// Prometheus' own mark of a series that has ended (model/value/value.go): a NaN that no calculation makes.
const double kAbsent = std::bit_cast<double>(std::uint64_t{0x7ff0000000000002});
bool IsAbsent(double value) { return std::bit_cast<std::uint64_t>(value) == 0x7ff0000000000002; }

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Neumaier's sum, as Prometheus sums windows up (promql/functions.go, kahanSumInc).
struct Sum {
  double sum = 0, rest = 0;
  void Add(double value) {
    const double total = sum + value;
    if (std::isinf(total)) {
      rest = 0;
    } else if (std::fabs(sum) >= std::fabs(value)) {
      rest += (sum - total) + value;
    } else {
      rest += (value - total) + sum;
    }
    sum = total;
  }
  double Get() const { return std::isinf(sum) ? sum : sum + rest; }
};

// promql/functions.go, extrapolatedRate.
double Extrapolated(const Window& w, bool counter, bool rate) {
  if (w.size() < 2) return kAbsent;
  const Sample &first = *w.begin, &last = *(w.end - 1);
  double change = last.value - first.value;
  if (counter) {
    double before = first.value;
    for (const Sample* s = w.begin + 1; s != w.end; ++s) {
      if (s->value < before) change += before;
      before = s->value;
    }
  }
  double to_start = static_cast<double>(first.time_ms - w.from_ms) / 1'000;
  const double to_end = static_cast<double>(w.to_ms - last.time_ms) / 1'000;
  const double sampled = static_cast<double>(last.time_ms - first.time_ms) / 1'000;
  const double average = sampled / static_cast<double>(w.size() - 1);
  if (counter && change > 0 && first.value >= 0) to_start = std::min(to_start, sampled * (first.value / change));
  const double threshold = average * 1.1;
  double extended = sampled;
  extended += to_start < threshold ? to_start : average / 2;
  extended += to_end < threshold ? to_end : average / 2;
  double factor = extended / sampled;
  if (rate) factor /= static_cast<double>(w.to_ms - w.from_ms) / 1'000;
  return change * factor;
}

double Instant(const Window& w, bool rate) {
  if (w.size() < 2) return kAbsent;
  const Sample &before = *(w.end - 2), &last = *(w.end - 1);
  const double change = rate && last.value < before.value ? last.value : last.value - before.value;
  return rate ? change / (static_cast<double>(last.time_ms - before.time_ms) / 1'000) : change;
}

double Mean(const Window& w) {
  Sum mean;
  double count = 0;
  for (const Sample* s = w.begin; s != w.end; ++s) {
    ++count;
    if (std::isinf(mean.sum)) {
      if (std::isinf(s->value) && (mean.sum > 0) == (s->value > 0)) continue;
      if (!std::isinf(s->value) && !std::isnan(s->value)) continue;
    }
    mean.Add(s->value / count - mean.sum / count);
  }
  return mean.Get();
}

double Variance(const Window& w) {
  Sum mean, squares;
  double count = 0;
  for (const Sample* s = w.begin; s != w.end; ++s) {
    ++count;
    const double delta = s->value - (mean.sum + mean.rest);
    mean.Add(delta / count);
    squares.Add(delta * (s->value - (mean.sum + mean.rest)));
  }
  return (squares.sum + squares.rest) / count;
}

template <bool kGreatest>
double Extreme(const Window& w) {
  double best = w.begin->value;
  for (const Sample* s = w.begin; s != w.end; ++s) {
    if ((kGreatest ? s->value > best : s->value < best) || std::isnan(best)) best = s->value;
  }
  return best;
}

// The slope of the line of least squares (promql/functions.go, linearRegression), and its value at `at_ms`.
std::pair<double, double> Line(const Window& w, std::int64_t at_ms) {
  Sum x, y, xy, xx;
  double n = 0;
  bool constant = true;
  for (const Sample* s = w.begin; s != w.end; ++s) {
    if (s->value != w.begin->value) constant = false;
    ++n;
    const double t = static_cast<double>(s->time_ms - at_ms) / 1'000;
    x.Add(t), y.Add(s->value), xy.Add(t * s->value), xx.Add(t * t);
  }
  if (constant) return {std::isinf(w.begin->value) ? kNan : 0, std::isinf(w.begin->value) ? kNan : w.begin->value};
  const double cov = xy.Get() - x.Get() * y.Get() / n, var = xx.Get() - x.Get() * x.Get() / n;
  const double slope = cov / var;
  return {slope, y.Get() / n - slope * x.Get() / n};
}

double Round(double value, double to) {
  const double inverse = 1 / to;
  return std::floor(value * inverse + 0.5) / inverse;
}

double Clamp(double value, double low, double high) {
  if (std::isnan(low) || std::isnan(high)) return kNan;
  return low > high ? kAbsent : std::max(low, std::min(high, value));
}

constexpr auto kRange = ValueType::kRange;
constexpr auto kVector = ValueType::kVector;
constexpr auto kScalar = ValueType::kScalar;

using W = const Window&;
using Args = std::vector<ValueType>;

Function OfWindow(const char* name, double (*apply)(W, double), Args arguments = {kRange}) {
  return {.name = name, .arguments = std::move(arguments), .of_window = apply};
}
Function OfValue(const char* name, double (*apply)(double, double, double), Args arguments = {kVector},
                 std::size_t optional = 0) {
  return {.name = name, .arguments = std::move(arguments), .optional = optional, .of_value = apply};
}

const std::vector<Function>& Functions() {
  static const std::vector<Function>& all = *new std::vector<Function>{
      OfWindow("rate", [](W w, double) { return Extrapolated(w, true, true); }),
      OfWindow("increase", [](W w, double) { return Extrapolated(w, true, false); }),
      OfWindow("delta", [](W w, double) { return Extrapolated(w, false, false); }),
      OfWindow("irate", [](W w, double) { return Instant(w, true); }),
      OfWindow("idelta", [](W w, double) { return Instant(w, false); }),
      OfWindow("deriv", [](W w, double) { return w.size() < 2 ? kAbsent : Line(w, w.begin->time_ms).first; }),
      OfWindow("predict_linear",
               [](W w, double seconds) {
                 if (w.size() < 2) return kAbsent;
                 const auto [slope, value] = Line(w, w.at_ms);
                 return slope * seconds + value;
               },
               {kRange, kScalar}),
      OfWindow("changes",
               [](W w, double) {
                 double changes = 0;
                 for (const Sample* s = w.begin + 1; s < w.end; ++s) {
                   const double before = (s - 1)->value;
                   if (s->value != before && !(std::isnan(s->value) && std::isnan(before))) ++changes;
                 }
                 return changes;
               }),
      OfWindow("resets",
               [](W w, double) {
                 double resets = 0;
                 for (const Sample* s = w.begin + 1; s < w.end; ++s) resets += s->value < (s - 1)->value ? 1 : 0;
                 return resets;
               }),
      OfWindow("avg_over_time", [](W w, double) { return Mean(w); }),
      OfWindow("sum_over_time",
               [](W w, double) {
                 Sum sum;
                 for (const Sample* s = w.begin; s != w.end; ++s) sum.Add(s->value);
                 return sum.Get();
               }),
      OfWindow("count_over_time", [](W w, double) { return static_cast<double>(w.size()); }),
      OfWindow("min_over_time", [](W w, double) { return Extreme<false>(w); }),
      OfWindow("max_over_time", [](W w, double) { return Extreme<true>(w); }),
      OfWindow("last_over_time", [](W w, double) { return (w.end - 1)->value; }),
      OfWindow("present_over_time", [](W, double) { return 1.0; }),
      OfWindow("stddev_over_time", [](W w, double) { return std::sqrt(Variance(w)); }),
      OfWindow("stdvar_over_time", [](W w, double) { return Variance(w); }),
      OfWindow("quantile_over_time",
               [](W w, double q) {
                 std::vector<double> values;
                 for (const Sample* s = w.begin; s != w.end; ++s) values.push_back(s->value);
                 return Quantile(q, std::move(values));
               },
               {kScalar, kRange}),
      OfValue("abs", [](double v, double, double) { return std::fabs(v); }),
      OfValue("ceil", [](double v, double, double) { return std::ceil(v); }),
      OfValue("floor", [](double v, double, double) { return std::floor(v); }),
      OfValue("exp", [](double v, double, double) { return std::exp(v); }),
      OfValue("ln", [](double v, double, double) { return std::log(v); }),
      OfValue("log2", [](double v, double, double) { return std::log2(v); }),
      OfValue("log10", [](double v, double, double) { return std::log10(v); }),
      OfValue("sqrt", [](double v, double, double) { return std::sqrt(v); }),
      OfValue("sgn", [](double v, double, double) { return v < 0   ? -1.0
                                                           : v > 0 ? 1.0
                                                                   : v; }),
      OfValue(
          "round", [](double v, double to, double) { return Round(v, to); }, {kVector, kScalar}, 1),
      OfValue("clamp", Clamp, {kVector, kScalar, kScalar}),
      OfValue("clamp_min", [](double v, double low, double) { return std::isnan(low) ? kNan : std::max(low, v); },
              {kVector, kScalar}),
      OfValue("clamp_max", [](double v, double high, double) { return std::isnan(high) ? kNan : std::min(high, v); },
              {kVector, kScalar}),
      // These are done where expressions are evaluated.
      {.name = "time", .arguments = {}, .result = kScalar},
      {.name = "scalar", .arguments = {kVector}, .result = kScalar},
      {.name = "vector", .arguments = {kScalar}},
      {.name = "timestamp", .arguments = {kVector}},
      {.name = "absent", .arguments = {kVector}},
      {.name = "sort", .arguments = {kVector}},
      {.name = "sort_desc", .arguments = {kVector}},
      {.name = "label_replace",
       .arguments = {kVector, ValueType::kString, ValueType::kString, ValueType::kString, ValueType::kString}},
  };
  return all;
}

}  // namespace

const Function* FindFunction(const std::string& name, bool* known) {
  for (const Function& function : Functions()) {
    if (name == function.name) return *known = true, &function;
  }
  constexpr const char* kOthers[] = {"absent_over_time",
                                     "acos",
                                     "acosh",
                                     "asin",
                                     "asinh",
                                     "atan",
                                     "atanh",
                                     "cos",
                                     "cosh",
                                     "day_of_month",
                                     "day_of_week",
                                     "day_of_year",
                                     "days_in_month",
                                     "deg",
                                     "histogram_count",
                                     "histogram_fraction",
                                     "histogram_quantile",
                                     "histogram_sum",
                                     "holt_winters",
                                     "hour",
                                     "label_join",
                                     "minute",
                                     "month",
                                     "pi",
                                     "rad",
                                     "sin",
                                     "sinh",
                                     "tan",
                                     "tanh",
                                     "year"};
  *known = std::any_of(std::begin(kOthers), std::end(kOthers), [&](const char* other) { return name == other; });
  return nullptr;
}

const Aggregation* FindAggregation(const std::string& name) {
  static constexpr Aggregation kAll[] = {
      {"sum", false, true},   {"avg", false, true},    {"min", false, true},     {"max", false, true},
      {"count", false, true}, {"group", false, true},  {"stddev", false, true},  {"stdvar", false, true},
      {"topk", true, true},   {"bottomk", true, true}, {"quantile", true, true}, {"count_values", true, false}};
  for (const Aggregation& aggregation : kAll) {
    if (name == aggregation.name) return &aggregation;
  }
  return nullptr;
}

// promql/quantile.go.
double Quantile(double q, std::vector<double> values) {
  if (values.empty() || std::isnan(q)) return kNan;
  if (q < 0) return -std::numeric_limits<double>::infinity();
  if (q > 1) return std::numeric_limits<double>::infinity();
  std::sort(values.begin(), values.end(), [](double a, double b) { return std::isnan(a) ? !std::isnan(b) : a < b; });
  const double rank = q * static_cast<double>(values.size() - 1);
  const auto lower = static_cast<std::size_t>(std::floor(rank));
  const std::size_t upper = std::min(values.size() - 1, lower + 1);
  const double weight = rank - std::floor(rank);
  return values[lower] * (1 - weight) + values[upper] * weight;
}

}  // namespace pepeunit::promql
