#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// The part of PromQL that dashboards use, with the semantics of Prometheus 2.42
// (https://prometheus.io/docs/prometheus/2.42/querying/basics/): README.md beside this says which part. Pure but for
// the Source. Thread-safe.
namespace pepeunit::promql {

// By name; the metric's own is `__name__`.
using Labels = std::map<std::string, std::string>;

class Matcher {
 public:
  enum class Type { kEqual, kNotEqual, kMatches, kNotMatches };

  // INVALID_ARGUMENT when it is a regular expression that RE2 does not take.
  static absl::StatusOr<Matcher> Of(std::string name, Type type, std::string value);

  const std::string& name() const { return name_; }
  Type type() const { return type_; }
  const std::string& value() const { return value_; }
  // A label that is not there has the value "".
  bool Matches(const std::string& value) const;
  bool Matches(const Labels& labels) const;

 private:
  Matcher(std::string name, Type type, std::string value)
      : name_(std::move(name)), type_(type), value_(std::move(value)) {}

  std::string name_;
  Type type_;
  std::string value_;
  struct Regex;
  std::shared_ptr<const Regex> regex_;
};

// `temperature{unit="x"}` of the parameter `match[]`: its matchers, with that of the name.
absl::StatusOr<std::vector<Matcher>> ParseSelector(const std::string& text);

struct Sample {
  std::int64_t time_ms = 0;
  double value = 0;
};
struct Series {
  Labels labels;
  std::vector<Sample> samples;  // rising times
};

// Where series come from. Thread-safe.
class Source {
 public:
  virtual ~Source() = default;
  // Those that all matchers match, with their samples from `from_ms` to `to_ms`, both included.
  virtual absl::StatusOr<std::vector<Series>> Select(const std::vector<Matcher>& matchers, std::int64_t from_ms,
                                                     std::int64_t to_ms) = 0;
};

enum class ResultType { kScalar, kString, kVector, kMatrix };

struct Result {
  ResultType type = ResultType::kVector;
  std::string text;            // of a string
  std::vector<Series> series;  // of a scalar one without labels; of a vector one sample each
};

struct Limits {
  std::size_t samples = 10'000'000;  // of what is selected and of what is answered, each
  std::size_t steps = 11'000;        // as Prometheus has it
  std::int64_t lookback_ms = 300'000;
  std::function<bool()> cancelled = [] { return false; };  // asked now and then
};

class Query {
 public:
  static constexpr std::size_t kMostBytes = 16 << 10, kMostDepth = 64;

  // INVALID_ARGUMENT tells where and why, and names what is PromQL but not supported here.
  static absl::StatusOr<Query> Parse(const std::string& text);
  Query(Query&&) noexcept;
  Query& operator=(Query&&) noexcept;
  ~Query();

  absl::StatusOr<Result> At(Source& source, std::int64_t time_ms, const Limits& limits = {}) const;
  // A matrix. From `from_ms` to `to_ms`, both included.
  absl::StatusOr<Result> Range(Source& source, std::int64_t from_ms, std::int64_t to_ms, std::int64_t step_ms,
                               const Limits& limits = {}) const;

 private:
  struct Impl;
  explicit Query(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// A number as Prometheus writes it: without exponent, `NaN`, `+Inf`, `-Inf`.
std::string NumberText(double value);
// `5m`, `1h30m`, `1.5`: milliseconds; seconds when there is no unit, as the API's `step` allows. False when it is none,
// or more than 300 years.
bool ParseDuration(const std::string& text, std::int64_t* ms);

}  // namespace pepeunit::promql
