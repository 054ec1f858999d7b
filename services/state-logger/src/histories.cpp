#include "histories.h"

#include <algorithm>
#include <set>

#include "csv_import.h"
#include "pepeunit/base/clock.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/values/values.h"

namespace pepeunit::state_logger {
namespace {

using Mode = HistoryPlan::Mode;

constexpr int kMostOutputs = 1'000;
constexpr int kPage = 5'000;              // readings asked for at once
constexpr std::int64_t kAtOnce = 20'000;  // steps or stretches asked for at once
constexpr std::int64_t kUsualGap = 5;     // times the usual distance
constexpr std::int64_t kGapUs = 1'000;    // a point of nulls stands so long after the last one

bool IsNumeric(const graph::v1::FoundOutput& output) {
  const auto type = output.variable().type();
  return type == common::v1::VALUE_TYPE_NUMBER || type == common::v1::VALUE_TYPE_INTEGER ||
         type == common::v1::VALUE_TYPE_BOOLEAN;
}

std::vector<Uuid> IdsOf(const std::vector<graph::v1::FoundOutput>& outputs) {
  std::vector<Uuid> ids;
  for (const auto& output : outputs) ids.push_back(Uuid::Parse(output.variable().id()).value_or(Uuid{}));
  return ids;
}

HistoryPoint GapAt(std::int64_t time_us) {
  HistoryPoint point;
  point.time_us = time_us;
  return point;
}

// Writes points, and one of nulls after those that the next one is too far from.
class Line {
 public:
  // `gap_us` 0: none is too far. The point of nulls stands `after_us` behind.
  Line(HistoryWriter& writer, std::int64_t gap_us, std::int64_t after_us = kGapUs)
      : writer_(writer), gap_us_(gap_us), after_us_(after_us) {}

  void Add(const HistoryPoint& point) {
    if (gap_us_ > 0 && any_ && point.time_us - last_us_ > gap_us_) writer_.Add(GapAt(last_us_ + after_us_));
    writer_.Add(point);
    any_ = true;
    last_us_ = point.time_us;
  }

 private:
  HistoryWriter& writer_;
  const std::int64_t gap_us_, after_us_;
  std::int64_t last_us_ = 0;
  bool any_ = false;
};

std::int64_t UsualDistance(const std::vector<PlotPoint>& points) {
  std::vector<std::int64_t> distances;
  for (std::size_t i = 1; i < points.size(); ++i) {
    if (points[i].time_us > points[i - 1].time_us) distances.push_back(points[i].time_us - points[i - 1].time_us);
  }
  if (distances.empty()) return 0;
  const auto middle = distances.begin() + static_cast<std::ptrdiff_t>(distances.size() / 2);
  std::nth_element(distances.begin(), middle, distances.end());
  return *middle;
}

// Of a step its mean is the value.
void SetMean(const graph::v1::FoundOutput& output, HistoryPoint* point) {
  if (point->summed && point->count > 0 && IsNumeric(output))
    point->value.set_number(point->sum / static_cast<double>(point->count));
}

bus::v1::Scalar PlottedValue(const graph::v1::FoundOutput& output, double value) {
  bus::v1::Scalar scalar;
  if (output.variable().type() == common::v1::VALUE_TYPE_BOOLEAN && (value == 0 || value == 1)) {
    scalar.set_boolean(value == 1);
  } else {
    scalar.set_number(value);
  }
  return scalar;
}

void WriteLine(const HistoryPlan& plan, const graph::v1::FoundOutput& output, const std::vector<PlotPoint>& extremes,
               HistoryWriter& writer) {
  const std::int64_t gap_us = plan.gap_ms ? *plan.gap_ms * 1'000 : kUsualGap * UsualDistance(extremes);
  // Among all, for of those that are chosen some are far apart because the line between them is straight.
  std::vector<std::int64_t> gaps;
  for (std::size_t i = 1; i < extremes.size() && gap_us > 0; ++i) {
    if (extremes[i].time_us - extremes[i - 1].time_us > gap_us) gaps.push_back(extremes[i - 1].time_us);
  }
  auto gap = gaps.begin();
  for (const PlotPoint& plotted : LargestTriangles(extremes, static_cast<std::size_t>(plan.points))) {
    for (; gap != gaps.end() && *gap < plotted.time_us; ++gap) writer.Add(GapAt(*gap + kGapUs));
    HistoryPoint point;
    point.time_us = plotted.time_us;
    point.value = PlottedValue(output, plotted.value);
    point.count = 1;
    point.summed = true;
    point.sum = point.minimum = point.maximum = point.last = plotted.value;
    writer.Add(point);
  }
}

void WriteSteps(const HistoryPlan& plan, const graph::v1::FoundOutput& output, std::vector<HistoryPoint>& steps,
                HistoryWriter& writer) {
  Line line(writer, plan.gap_ms.value_or(plan.step_ms) * 1'000, plan.step_ms * 1'000);
  for (HistoryPoint& point : steps) {
    SetMean(output, &point);
    line.Add(point);
  }
}

}  // namespace

absl::Status Histories::Query(const rpc::Caller& caller, const log::v1::QueryHistoryRequest& request,
                              const WriteChunk& write) {
  PEPEUNIT_ASSIGN_OR_RETURN(const HistoryPlan plan, PlanHistory(request, NowMs()));
  if (request.variable_ids().empty() && request.unit_ids().empty() && request.repo_unit_id().empty() &&
      request.names().empty())
    return InvalidField("variable_ids", "say which histories: variable_ids, unit_ids, repo_unit_id or names");
  graph::v1::FindOutputsRequest filter;
  *filter.mutable_variable_ids() = request.variable_ids();
  *filter.mutable_unit_ids() = request.unit_ids();
  filter.set_repo_unit_id(request.repo_unit_id());
  *filter.mutable_names() = request.names();
  filter.set_limit(kMostOutputs);
  PEPEUNIT_ASSIGN_OR_RETURN(const auto found, rights_.FindOutputs(caller, filter));
  const Outputs outputs(found.outputs().begin(), found.outputs().end());
  const std::int64_t points = plan.mode == Mode::kPoints  ? plan.points
                              : plan.mode == Mode::kSteps ? (plan.to_us - plan.from_us) / (plan.step_ms * 1'000)
                                                          : 0;
  if (points * static_cast<std::int64_t>(outputs.size()) > kMostPoints)
    return InvalidField(plan.mode == Mode::kPoints ? "points" : "step",
                        "makes more than 1000000 points of these histories in all; ask for fewer");

  const auto writer = HistoryWriter::Of(plan, write);
  writer->Begin();
  switch (plan.mode) {
    case Mode::kReadings:
      return WriteReadings(plan, outputs, *writer);
    case Mode::kLatest:
      return WriteLatest(outputs, *writer);
    default:
      return WriteSummed(plan, outputs, *writer);
  }
}

absl::Status Histories::WriteSeries(const HistoryPlan& plan, const Series& series, const ReadingKey& after,
                                    std::int64_t* left, ReadingKey* stopped_at, HistoryWriter& writer) {
  Line line(writer, plan.gap_ms.value_or(0) * 1'000);
  ReadingKey at = after;
  for (bool more = true; more;) {
    // One more than is wanted tells whether there is more.
    const int want = plan.limit > 0 ? static_cast<int>(std::min<std::int64_t>(kPage, *left + 1)) : kPage;
    PEPEUNIT_ASSIGN_OR_RETURN(const auto rows, store_.Readings(series, plan.from_us, at, plan.to_us, want));
    more = rows.size() == static_cast<std::size_t>(want);
    for (const StoredPoint& row : rows) {
      if (plan.limit > 0 && *left == 0) {
        *stopped_at = at;
        return absl::OkStatus();
      }
      --*left;
      line.Add(row.point);
      at = row.key;
    }
    PEPEUNIT_RETURN_IF_ERROR(writer.Flush());
  }
  return absl::OkStatus();
}

absl::Status Histories::WriteReadings(const HistoryPlan& plan, const Outputs& outputs, HistoryWriter& writer) {
  PEPEUNIT_ASSIGN_OR_RETURN(const auto series, store_.FindSeries(IdsOf(outputs)));
  std::int64_t left = plan.limit;
  std::string next_cursor;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const std::string& id = outputs[i].variable().id();
    if (id < plan.resume_variable) continue;
    const ReadingKey after = id == plan.resume_variable ? plan.resume : ReadingKey();
    writer.BeginSeries(outputs[i]);
    ReadingKey stopped_at{.time_us = -1};
    if (series[i]) PEPEUNIT_RETURN_IF_ERROR(WriteSeries(plan, *series[i], after, &left, &stopped_at, writer));
    writer.EndSeries();
    if (stopped_at.time_us >= 0) {
      next_cursor = HistoryCursor(plan, id, stopped_at);
      break;
    }
  }
  return writer.End(next_cursor);
}

absl::Status Histories::WriteSummed(const HistoryPlan& plan, const Outputs& outputs, HistoryWriter& writer) {
  PEPEUNIT_ASSIGN_OR_RETURN(const auto series, store_.FindSeries(IdsOf(outputs)));
  const bool steps = plan.mode == Mode::kSteps;
  // Twice as many stretches as points: four extremes for each (Van Der Donckt et al., 4.2).
  const std::int64_t each = steps ? (plan.to_us - plan.from_us) / (plan.step_ms * 1'000) : 2 * plan.points;
  const std::size_t at_once =
      static_cast<std::size_t>(std::max<std::int64_t>(1, kAtOnce / std::max<std::int64_t>(each, 1)));
  for (std::size_t begin = 0; begin < outputs.size(); begin += at_once) {
    const std::size_t end = std::min(outputs.size(), begin + at_once);
    std::vector<Series> known;
    std::vector<std::size_t> places(outputs.size(), SIZE_MAX);
    for (std::size_t i = begin; i < end; ++i) {
      if (!series[i] || (!steps && !IsNumeric(outputs[i]))) continue;
      places[i] = known.size();
      known.push_back(*series[i]);
    }
    std::vector<std::vector<HistoryPoint>> summed;
    std::vector<std::vector<PlotPoint>> extremes;
    if (!known.empty() && steps) {
      PEPEUNIT_ASSIGN_OR_RETURN(summed, store_.Steps(known, plan.from_us, plan.to_us, plan.step_ms));
    } else if (!known.empty()) {
      PEPEUNIT_ASSIGN_OR_RETURN(extremes, store_.Extremes(known, plan.from_us, plan.to_us, each));
    }
    for (std::size_t i = begin; i < end; ++i) {
      writer.BeginSeries(outputs[i]);
      if (places[i] != SIZE_MAX) {
        steps ? WriteSteps(plan, outputs[i], summed[places[i]], writer)
              : WriteLine(plan, outputs[i], extremes[places[i]], writer);
      } else if (series[i]) {
        std::int64_t left = 0;
        ReadingKey stopped_at;
        PEPEUNIT_RETURN_IF_ERROR(WriteSeries(plan, *series[i], {}, &left, &stopped_at, writer));
      }
      writer.EndSeries();
      PEPEUNIT_RETURN_IF_ERROR(writer.Flush());
    }
  }
  return writer.End("");
}

absl::Status Histories::WriteLatest(const Outputs& outputs, HistoryWriter& writer) {
  PEPEUNIT_ASSIGN_OR_RETURN(const auto newest, store_.Latest(IdsOf(outputs)));
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    writer.BeginSeries(outputs[i]);
    if (newest[i]) writer.Add(*newest[i]);
    writer.EndSeries();
    PEPEUNIT_RETURN_IF_ERROR(writer.Flush());
  }
  return writer.End("");
}

absl::Status Histories::Import(const rpc::Caller& caller, const log::v1::ImportReadingsRequest& request,
                               log::v1::ImportReadingsResponse& out) {
  const auto variable = Uuid::Parse(request.variable_id());
  if (!variable) return InvalidField("variable_id", "is not a UUID");
  const auto owned = rights_.MayOwn(caller, request.variable_id());
  if (owned.status().code() == absl::StatusCode::kPermissionDenied && !caller.signed_in())
    return Unauthenticated("Sign in to add to a history.");
  PEPEUNIT_ASSIGN_OR_RETURN(const auto node, owned);
  if (!node.has_variable()) return NotFound("variable");
  if (node.variable().kind() != graph::v1::VARIABLE_KIND_OUTPUT)
    return InvalidField("variable_id", "is an input; only outputs have a history");
  PEPEUNIT_ASSIGN_OR_RETURN(const CsvReadings read,
                            ReadCsv(request.csv(), values::ToDefinition(node.variable()), NowMs()));
  const Uuid unit = Uuid::Parse(node.unit_id()).value_or(Uuid{});
  PEPEUNIT_ASSIGN_OR_RETURN(const std::int64_t imported, store_.Import(*variable, unit, read.readings));
  out.set_lines(read.lines);
  out.set_imported(imported);
  out.set_known(static_cast<std::int64_t>(read.readings.size()) - imported);
  out.set_refused(read.refused);
  for (const auto& [line, reason] : read.refusals) {
    auto* refusal = out.add_refusals();
    refusal->set_line(line);
    refusal->set_reason(reason);
  }
  return absl::OkStatus();
}

}  // namespace pepeunit::state_logger
