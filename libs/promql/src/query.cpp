#include <algorithm>
#include <charconv>
#include <cmath>

#include "expression.h"

namespace pepeunit::promql {
namespace {

// Whether the whole expression sorts its result, and which way: 0, 1 or -1.
int Order(const Expression& expression) {
  if (expression.kind == Kind::kAggregate) return expression.text == "topk" ? -1 : expression.text == "bottomk" ? 1 : 0;
  if (expression.kind != Kind::kCall) return 0;
  const std::string name = expression.function->name;
  return name == "sort" ? 1 : name == "sort_desc" ? -1 : 0;
}

Result ToResult(ResultType type, Columns columns, const Steps& steps) {
  std::sort(columns.begin(), columns.end(), [](const Column& a, const Column& b) { return a.labels < b.labels; });
  Result result{.type = type, .text = "", .series = {}};
  for (Column& column : columns) {
    Series series{std::move(column.labels), {}};
    for (std::size_t step = 0; step < column.values.size(); ++step) {
      if (!IsAbsent(column.values[step])) series.samples.push_back({steps.at(step), column.values[step]});
    }
    if (!series.samples.empty()) result.series.push_back(std::move(series));
  }
  return result;
}

}  // namespace

struct Query::Impl {
  ExpressionPtr expression;
};

Query::Query(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Query::Query(Query&&) noexcept = default;
Query& Query::operator=(Query&&) noexcept = default;
Query::~Query() = default;

absl::StatusOr<Query> Query::Parse(const std::string& text) {
  auto expression = ParseExpression(text);
  if (!expression.ok()) return expression.status();
  auto impl = std::make_unique<Impl>();
  impl->expression = *std::move(expression);
  return Query(std::move(impl));
}

absl::StatusOr<Result> Query::At(Source& source, std::int64_t time_ms, const Limits& limits) const {
  const Expression& expression = *impl_->expression;
  const Steps steps{time_ms, 1, 1};
  if (expression.type == ValueType::kString) return Result{ResultType::kString, expression.text, {}};
  if (expression.type == ValueType::kRange) {
    // As it is stored.
    auto series = source.Select(expression.matchers, time_ms - expression.offset_ms - expression.range_ms,
                                time_ms - expression.offset_ms);
    if (!series.ok()) return series.status();
    Result result{ResultType::kMatrix, "", *std::move(series)};
    std::erase_if(result.series, [](const Series& one) { return one.samples.empty(); });
    std::sort(result.series.begin(), result.series.end(),
              [](const auto& a, const auto& b) { return a.labels < b.labels; });
    return result;
  }
  auto columns = Evaluate(expression, source, steps, limits);
  if (!columns.ok()) return columns.status();
  const bool scalar = expression.type == ValueType::kScalar;
  Result result = ToResult(scalar ? ResultType::kScalar : ResultType::kVector, *std::move(columns), steps);
  if (const int order = Order(expression); order != 0) {
    std::stable_sort(result.series.begin(), result.series.end(), [&](const Series& a, const Series& b) {
      const double x = a.samples[0].value, y = b.samples[0].value;
      if (std::isnan(x) || std::isnan(y)) return !std::isnan(x);
      return order > 0 ? x < y : x > y;
    });
  }
  return result;
}

absl::StatusOr<Result> Query::Range(Source& source, std::int64_t from_ms, std::int64_t to_ms, std::int64_t step_ms,
                                    const Limits& limits) const {
  const Expression& expression = *impl_->expression;
  if (expression.type != ValueType::kScalar && expression.type != ValueType::kVector)
    return absl::InvalidArgumentError("invalid expression type for range query, must be Scalar or instant Vector");
  if (step_ms <= 0)
    return absl::InvalidArgumentError(
        "zero or negative query resolution step widths are not accepted. Try a positive integer");
  if (to_ms < from_ms) return absl::InvalidArgumentError("end timestamp must not be before start time");
  const auto count = static_cast<std::uint64_t>((to_ms - from_ms) / step_ms) + 1;
  if (count > limits.steps)
    return absl::InvalidArgumentError("exceeded maximum resolution of " + std::to_string(limits.steps) +
                                      " points per timeseries. Try decreasing the query resolution (?step=XX)");
  const Steps steps{from_ms, step_ms, static_cast<std::size_t>(count)};
  auto columns = Evaluate(expression, source, steps, limits);
  if (!columns.ok()) return columns.status();
  return ToResult(ResultType::kMatrix, *std::move(columns), steps);
}

std::string NumberText(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  char text[400];
  const auto [end, error] = std::to_chars(text, text + sizeof text, value, std::chars_format::fixed);
  return error == std::errc() ? std::string(text, end) : "NaN";
}

}  // namespace pepeunit::promql
