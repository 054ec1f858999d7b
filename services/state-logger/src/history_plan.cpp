#include "history_plan.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "absl/strings/str_split.h"
#include "pepeunit/base/bytes.h"
#include "pepeunit/base/errors.h"

namespace pepeunit::state_logger {
namespace {

using google::protobuf::util::TimeUtil;
using Mode = HistoryPlan::Mode;

constexpr std::int64_t kDayInMs = 86'400'000, kYear2100Ms = 4'102'444'800'000;
constexpr char kTimeForms[] =
    "must be a time in RFC 3339, seconds since 1970 or a time before now such as -24h, from 1970 to 2100";

template <typename Number>
bool Whole(std::string_view text, Number* out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
  return error == std::errc() && end == text.data() + text.size();
}

std::optional<std::int64_t> InRange(std::int64_t us) {
  if (us < 0 || us > kYear2100Ms * 1'000) return std::nullopt;
  return us;
}

struct Reader {
  const log::v1::QueryHistoryRequest& request;
  std::int64_t now_ms;
  HistoryPlan plan{};
  std::vector<FieldViolation> wrong{};

  void Fail(const std::string& field, const std::string& what) { wrong.push_back({field, what}); }

  std::int64_t Time(const char* field, const std::string& text, std::int64_t otherwise_us) {
    if (text.empty()) return otherwise_us;
    const auto us = ReadTimeUs(text, now_ms);
    if (!us) Fail(field, kTimeForms);
    return us.value_or(0);
  }

  void Modes() {
    const int modes = int(!request.step().empty()) + int(request.points() != 0) + int(request.latest());
    if (modes > 1) Fail("step", "goes not together with `points` or `latest`; ask for one of the three");
    plan.mode = request.latest()          ? Mode::kLatest
                : request.points() != 0   ? Mode::kPoints
                : !request.step().empty() ? Mode::kSteps
                                          : Mode::kReadings;
    plan.points = request.points();
    if (request.points() != 0 && (request.points() < 3 || request.points() > 100'000))
      Fail("points", "must be from 3 to 100000");
  }

  void Period() {
    // What was measured in this millisecond belongs to it.
    plan.to_us = Time("to", request.to(), (now_ms + 1) * 1'000);
    plan.from_us = Time("from", request.from(), std::max<std::int64_t>(plan.to_us - kDayInMs * 1'000, 0));
    if (wrong.empty() && plan.from_us >= plan.to_us) Fail("from", "must be before `to`");
  }

  void Step() {
    if (plan.mode != Mode::kSteps) return;
    const auto ms = ReadDurationMs(request.step());
    if (!ms || *ms < 1'000 || *ms % 1'000 != 0 || (*ms > 60'000 && *ms % 60'000 != 0)) {
      return Fail("step", "must be seconds or a duration such as 15m, and from a minute on whole minutes");
    }
    plan.step_ms = *ms;
    const std::int64_t step_us = plan.step_ms * 1'000;
    plan.from_us = plan.from_us / step_us * step_us;
    plan.to_us = (plan.to_us + step_us - 1) / step_us * step_us;
    if ((plan.to_us - plan.from_us) / step_us > kMostPoints)
      Fail("step", "makes more than 1000000 steps of this period; ask for a longer one");
  }

  void Form() {
    if (!request.gap().empty()) {
      plan.gap_ms = ReadDurationMs(request.gap());
      if (!plan.gap_ms) Fail("gap", "must be seconds or a duration such as 15m; 0 for none");
    }
    if (!log::v1::HistoryFormat_IsValid(request.format())) Fail("format", "must be JSON, CSV or NDJSON");
    if (!log::v1::HistoryTimes_IsValid(request.times())) Fail("times", "must be RFC3339 or UNIX_MS");
    plan.format =
        request.format() == log::v1::HISTORY_FORMAT_UNSPECIFIED ? log::v1::HISTORY_FORMAT_JSON : request.format();
    plan.unix_ms = request.times() == log::v1::HISTORY_TIMES_UNIX_MS;
    for (const int column : request.columns()) {
      const auto named = static_cast<log::v1::HistoryColumn>(column);
      if (!log::v1::HistoryColumn_IsValid(column) || named == log::v1::HISTORY_COLUMN_UNSPECIFIED)
        return Fail("columns", "must be VALUE, MINIMUM, MAXIMUM, SUM, LAST or COUNT");
      if (std::count(plan.columns.begin(), plan.columns.end(), named) != 0) return Fail("columns", "has one twice");
      plan.columns.push_back(named);
    }
    if (!plan.columns.empty()) return;
    plan.columns = {log::v1::HISTORY_COLUMN_VALUE};
    if (plan.mode != Mode::kSteps) return;
    plan.columns.insert(plan.columns.end(),
                        {log::v1::HISTORY_COLUMN_MINIMUM, log::v1::HISTORY_COLUMN_MAXIMUM, log::v1::HISTORY_COLUMN_SUM,
                         log::v1::HISTORY_COLUMN_LAST, log::v1::HISTORY_COLUMN_COUNT});
  }

  void Pages() {
    plan.limit = request.limit();
    if (request.limit() < 0) Fail("limit", "must be 0 or more");
    if (plan.limit == 0 && request.cursor().empty()) return;
    if (plan.mode != Mode::kReadings) return Fail("limit", "is for readings as they were kept only");
    if (plan.format == log::v1::HISTORY_FORMAT_CSV)
      return Fail("limit", "CSV has no room for a cursor; ask for JSON or NDJSON");
    if (request.cursor().empty()) return;
    const auto raw = Base64UrlDecode(request.cursor());
    const std::vector<std::string> parts = absl::StrSplit(raw.value_or(""), ':');
    ReadingKey& key = plan.resume;
    std::int64_t from_us = 0, to_us = 0;
    if (parts.size() != 6 || !Uuid::Parse(parts[0]) || !Whole(parts[1], &from_us) || !Whole(parts[2], &to_us) ||
        !Whole(parts[3], &key.time_us) || !Whole(parts[4], &key.stream_seq) || !Whole(parts[5], &key.ord) ||
        !InRange(from_us) || !InRange(to_us) || !InRange(key.time_us) || key.stream_seq > INT64_MAX) {
      return Fail("cursor", "is not one that an answer gave");
    }
    // The period is that of the first page, also when it was told from now.
    plan.resume_variable = parts[0];
    plan.from_us = from_us;
    plan.to_us = to_us;
  }
};

}  // namespace

std::optional<std::int64_t> ReadDurationMs(const std::string& text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  const std::int64_t scale = unit.empty() || unit == "s" ? 1
                             : unit == "m"               ? 60
                             : unit == "h"               ? 3'600
                             : unit == "d"               ? 86'400
                             : unit == "w"               ? 604'800
                                                         : 0;
  constexpr std::int64_t kMost = 36'525LL * 86'400;
  if (error != std::errc() || scale == 0 || number < 0 || number > kMost / scale) return std::nullopt;
  return number * scale * 1'000;
}

std::optional<std::int64_t> ReadTimeUs(const std::string& text, std::int64_t now_ms) {
  if (text == "now") return now_ms * 1'000;
  const std::string before = text.rfind("now-", 0) == 0 ? text.substr(3) : text;
  if (before.rfind('-', 0) == 0) {
    const auto ms = ReadDurationMs(before.substr(1));
    return ms ? InRange((now_ms - *ms) * 1'000) : std::nullopt;
  }
  double seconds = 0;
  if (Whole(text, &seconds))
    return std::isfinite(seconds) && std::fabs(seconds) < 1e10
               ? InRange(static_cast<std::int64_t>(std::llround(seconds * 1e6)))
               : std::nullopt;
  google::protobuf::Timestamp time;
  if (text.size() > 40 || !TimeUtil::FromString(text, &time)) return std::nullopt;
  return InRange(TimeUtil::TimestampToMicroseconds(time));
}

absl::StatusOr<HistoryPlan> PlanHistory(const log::v1::QueryHistoryRequest& request, std::int64_t now_ms) {
  Reader reader{request, now_ms};
  reader.Modes();
  reader.Period();
  reader.Step();
  reader.Form();
  reader.Pages();
  if (!reader.wrong.empty()) return InvalidFields(std::move(reader.wrong));
  return std::move(reader.plan);
}

std::string HistoryCursor(const HistoryPlan& plan, const std::string& variable, const ReadingKey& after) {
  return Base64UrlEncode(AsBytes(variable + ':' + std::to_string(plan.from_us) + ':' + std::to_string(plan.to_us) +
                                 ':' + std::to_string(after.time_us) + ':' + std::to_string(after.stream_seq) + ':' +
                                 std::to_string(after.ord)));
}

}  // namespace pepeunit::state_logger
