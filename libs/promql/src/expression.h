#pragma once

#include <memory>
#include <string>
#include <vector>

#include "pepeunit/promql/promql.h"

namespace pepeunit::promql {

enum class Kind { kNumber, kString, kSelector, kCall, kAggregate, kBinary, kNegate };
enum class ValueType { kScalar, kString, kVector, kRange };  // what an expression gives

struct Function;

struct Expression {
  Kind kind = Kind::kNumber;
  ValueType type = ValueType::kScalar;
  std::size_t position = 0;  // in the text

  double number = 0;
  std::string text;  // of a string; of an aggregation or operator its name

  // kSelector
  std::vector<Matcher> matchers;
  std::int64_t range_ms = 0;  // 0: an instant vector
  std::int64_t offset_ms = 0;

  // kCall
  const Function* function = nullptr;

  // kAggregate, kBinary
  bool without = false, on = false, has_matching = false;
  std::vector<std::string> labels;
  bool returns_bool = false;

  std::vector<std::unique_ptr<Expression>> arguments;  // of an aggregation its parameter, if any, comes first
};

using ExpressionPtr = std::unique_ptr<Expression>;

// A value of one series at every step; kAbsent where there is none.
extern const double kAbsent;
bool IsAbsent(double value);

struct Column {
  Labels labels;
  std::vector<double> values;
};
using Columns = std::vector<Column>;

// The samples of a window, and its ends; `at_ms` is the step that it is for, `to_ms` without an offset.
struct Window {
  const Sample* begin = nullptr;
  const Sample* end = nullptr;
  std::int64_t from_ms = 0, to_ms = 0, at_ms = 0;
  std::size_t size() const { return static_cast<std::size_t>(end - begin); }
};

struct Function {
  const char* name;
  std::vector<ValueType> arguments;
  std::size_t optional = 0;  // of the last arguments
  ValueType result = ValueType::kVector;
  // Of a range, at one step: `scalar` is the other argument. kAbsent: nothing.
  double (*of_window)(const Window& window, double scalar) = nullptr;
  // Of each value of a vector; `a` and `b` are the other arguments.
  double (*of_value)(double value, double a, double b) = nullptr;
};
// Null when there is none. `known` says whether it is PromQL's all the same.
const Function* FindFunction(const std::string& name, bool* known);

// The aggregations: whether `name` is one, whether it has a parameter, and whether it is supported.
struct Aggregation {
  const char* name;
  bool parameter;
  bool supported;
};
const Aggregation* FindAggregation(const std::string& name);

bool IsComparison(const std::string& op);  // of the operators

double Quantile(double q, std::vector<double> values);

absl::StatusOr<ExpressionPtr> ParseExpression(const std::string& text);

struct Steps {
  std::int64_t from_ms = 0, step_ms = 1;
  std::size_t count = 1;
  std::int64_t at(std::size_t step) const { return from_ms + static_cast<std::int64_t>(step) * step_ms; }
};
absl::StatusOr<Columns> Evaluate(const Expression& expression, Source& source, const Steps& steps,
                                 const Limits& limits);

}  // namespace pepeunit::promql
