// An expression, and what it makes of three series, at one time and over a period.
#include "pepeunit/promql/promql.h"

#include "fuzz.h"

using namespace pepeunit::promql;

namespace {

class Three final : public Source {
 public:
  absl::StatusOr<std::vector<Series>> Select(const std::vector<Matcher>& matchers, std::int64_t from_ms,
                                             std::int64_t to_ms) override {
    std::vector<Series> found;
    for (const char* unit : {"a", "b", "c"}) {
      Series series{{{"__name__", "m"}, {"unit", unit}}, {}};
      bool all = true;
      for (const Matcher& matcher : matchers) all = all && matcher.Matches(series.labels);
      if (!all) continue;
      for (std::int64_t at = 0; at <= 600'000; at += 15'000) {
        if (at >= from_ms && at <= to_ms) series.samples.push_back({at, static_cast<double>(at % 97) * unit[0]});
      }
      if (!series.samples.empty()) found.push_back(std::move(series));
    }
    return found;
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text = TextOf(data, size);
  (void)ParseSelector(text);
  const auto query = Query::Parse(text);
  if (!query.ok()) {
    FUZZ_CHECK(absl::IsInvalidArgument(query.status()) && !query.status().message().empty());
    return 0;
  }
  Three source;
  Limits limits;
  limits.samples = 20'000;
  const auto at = query->At(source, 300'000, limits);
  if (at.ok() && at->type == ResultType::kVector) {
    for (const auto& series : at->series) FUZZ_CHECK(series.samples.size() == 1);
  }
  const auto range = query->Range(source, 0, 600'000, 60'000, limits);
  if (range.ok()) {
    for (const auto& series : range->series) FUZZ_CHECK(!series.samples.empty() && series.samples.size() <= 11);
  }
  return 0;
}
