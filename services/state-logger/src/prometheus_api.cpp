#include "prometheus_api.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "pepeunit/base/clock.h"
#include "pepeunit/base/errors.h"

namespace pepeunit::state_logger {
namespace {

using promql::Matcher;
using Selectors = google::protobuf::RepeatedPtrField<std::string>;

constexpr char kMetric[] = "pepeunit_output";
constexpr char kHelp[] = "Readings of the outputs of units.";
constexpr int kMostSeries = 10'000;

std::string Quoted(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

absl::Status Bad(const std::string& parameter, const std::string& what) {
  return absl::InvalidArgumentError("invalid parameter \"" + parameter + "\": " + what);
}

absl::StatusOr<std::int64_t> TimeMs(const std::string& parameter, const std::string& text) {
  // Seconds or RFC 3339; what people say relative to now is not Prometheus'.
  const bool relative = !text.empty() && (text[0] == '-' || text[0] == 'n');
  const auto us = relative ? std::nullopt : ReadTimeUs(text, 0);
  if (!us) return Bad(parameter, "cannot parse " + Quoted(text.substr(0, 64)) + " to a valid timestamp");
  return *us / 1'000;
}

absl::StatusOr<std::int64_t> TimeoutMs(const std::string& text) {
  std::int64_t ms = 0;
  if (text.empty()) return 0;
  if (!promql::ParseDuration(text, &ms) || ms == 0) return Bad("timeout", "cannot parse it to a valid duration");
  return ms;
}

promql::Labels LabelsOf(const graph::v1::FoundOutput& output) {
  return {
      {"__name__", kMetric},        {"variable", output.variable().name()},   {"variable_id", output.variable().id()},
      {"unit", output.unit_name()}, {"unit_id", output.variable().unit_id()}, {"repo_unit_id", output.repo_unit_id()}};
}

bool IsNumeric(common::v1::ValueType type) {
  return type == common::v1::VALUE_TYPE_NUMBER || type == common::v1::VALUE_TYPE_INTEGER ||
         type == common::v1::VALUE_TYPE_BOOLEAN;
}

// What the matchers say that the graph can look up; nullopt when nothing can match.
std::optional<graph::v1::FindOutputsRequest> FilterOf(const std::vector<Matcher>& matchers) {
  graph::v1::FindOutputsRequest filter;
  filter.set_limit(kMostSeries);
  for (const Matcher& matcher : matchers) {
    if (matcher.name() == "__name__" && !matcher.Matches(std::string(kMetric))) return std::nullopt;
    if (matcher.type() != Matcher::Type::kEqual || matcher.value().empty()) continue;
    if (matcher.name() == "variable") filter.add_names(matcher.value());
    if (matcher.name() == "variable_id") filter.add_variable_ids(matcher.value());
    if (matcher.name() == "unit_id") filter.add_unit_ids(matcher.value());
    if (matcher.name() == "repo_unit_id") filter.set_repo_unit_id(matcher.value());
  }
  return filter;
}

// Those that the matchers match, with their labels.
absl::StatusOr<std::vector<std::pair<Uuid, promql::Labels>>> Find(Rights& rights, const rpc::Caller& caller,
                                                                  const std::vector<Matcher>& matchers) {
  std::vector<std::pair<Uuid, promql::Labels>> found;
  const auto filter = FilterOf(matchers);
  if (!filter) return found;
  const auto outputs = rights.FindOutputs(caller, *filter);
  // An id of nothing, or of what he may not see, is a selector that matches nothing.
  if (outputs.status().code() == absl::StatusCode::kNotFound ||
      outputs.status().code() == absl::StatusCode::kInvalidArgument)
    return found;
  if (!outputs.ok()) return outputs.status();
  for (const auto& output : outputs->outputs()) {
    promql::Labels labels = LabelsOf(output);
    const bool matches =
        std::all_of(matchers.begin(), matchers.end(), [&](const Matcher& m) { return m.Matches(labels); });
    if (matches && IsNumeric(output.variable().type()))
      found.emplace_back(Uuid::Parse(output.variable().id()).value_or(Uuid{}), std::move(labels));
  }
  return found;
}

class OutputSource final : public promql::Source {
 public:
  OutputSource(HistoryStore& store, Rights& rights, const rpc::Caller& caller, const promql::Limits& limits)
      : store_(store), rights_(rights), caller_(caller), limits_(limits) {}

  absl::StatusOr<std::vector<promql::Series>> Select(const std::vector<Matcher>& matchers, std::int64_t from_ms,
                                                     std::int64_t to_ms) override {
    PEPEUNIT_ASSIGN_OR_RETURN(auto found, Find(rights_, caller_, matchers));
    std::vector<Uuid> ids;
    for (const auto& [id, labels] : found) ids.push_back(id);
    PEPEUNIT_ASSIGN_OR_RETURN(const auto known, store_.FindSeries(ids));
    std::vector<promql::Series> result;
    std::vector<state_logger::Series> series;
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (!known[i]) continue;
      series.push_back(*known[i]);
      result.push_back({std::move(found[i].second), {}});
    }
    if (series.empty()) return result;
    PEPEUNIT_ASSIGN_OR_RETURN(auto samples,
                              store_.Samples(series, from_ms, to_ms, limits_.samples - read_, limits_.cancelled));
    for (std::size_t i = 0; i < samples.size(); ++i) {
      read_ += samples[i].size();
      result[i].samples = std::move(samples[i]);
    }
    return result;
  }

 private:
  HistoryStore& store_;
  Rights& rights_;
  const rpc::Caller& caller_;
  const promql::Limits& limits_;
  std::size_t read_ = 0;
};

std::string LabelsJson(const promql::Labels& labels) {
  std::string text = "{";
  for (const auto& [name, value] : labels) text += (text.size() > 1 ? "," : "") + Quoted(name) + ':' + Quoted(value);
  return text + '}';
}

// Seconds with ms.
std::string SecondsText(std::int64_t ms) {
  std::string text = std::to_string(ms / 1'000);
  if (ms % 1'000 == 0) return text;
  std::string rest = std::to_string(1'000 + ms % 1'000).substr(1);
  while (rest.back() == '0') rest.pop_back();
  return text + '.' + rest;
}

std::string PointJson(const promql::Sample& sample) {
  return '[' + SecondsText(sample.time_ms) + ",\"" + promql::NumberText(sample.value) + "\"]";
}

absl::Status WriteResult(const promql::Result& result, std::int64_t time_ms, const WriteChunk& write) {
  constexpr const char* kTypes[] = {"scalar", "string", "vector", "matrix"};
  ChunkWriter body(write, "application/json");
  body.text = std::string(R"({"status":"success","data":{"resultType":")") + kTypes[static_cast<int>(result.type)] +
              "\",\"result\":";
  if (result.type == promql::ResultType::kString) {
    body.text += '[' + SecondsText(time_ms) + ',' + Quoted(result.text) + ']';
  } else if (result.type == promql::ResultType::kScalar) {
    body.text += PointJson(result.series.at(0).samples.at(0));
  } else {
    body.text += '[';
    bool many = false;
    for (const promql::Series& series : result.series) {
      body.text += (many ? ",{\"metric\":" : "{\"metric\":") + LabelsJson(series.labels);
      many = true;
      if (result.type == promql::ResultType::kVector) {
        body.text += ",\"value\":" + PointJson(series.samples.at(0)) + '}';
        continue;
      }
      body.text += ",\"values\":[";
      for (std::size_t i = 0; i < series.samples.size(); ++i)
        body.text += (i == 0 ? "" : ",") + PointJson(series.samples[i]);
      body.text += "]}";
      PEPEUNIT_RETURN_IF_ERROR(body.Flush());
    }
    body.text += ']';
  }
  body.text += "}}";
  return body.Finish();
}

absl::Status WriteList(const std::vector<std::string>& items, const WriteChunk& write) {
  ChunkWriter body(write, "application/json");
  body.text = R"({"status":"success","data":[)";
  for (std::size_t i = 0; i < items.size(); ++i) body.text += (i == 0 ? "" : ",") + items[i];
  body.text += "]}";
  return body.Finish();
}

}  // namespace

promql::Limits PrometheusApi::LimitsOf(const rpc::Context& context, std::int64_t timeout_ms) const {
  promql::Limits limits;
  limits.samples = most_samples_;
  auto deadline = context.deadline;
  if (timeout_ms > 0)
    deadline = std::min(deadline, std::chrono::system_clock::now() + std::chrono::milliseconds(timeout_ms));
  limits.cancelled = [deadline, cancelled = context.cancelled] {
    return std::chrono::system_clock::now() >= deadline || (cancelled && cancelled());
  };
  return limits;
}

absl::Status PrometheusApi::Query(const rpc::Context& context, const log::v1::PrometheusQueryRequest& request,
                                  const WriteChunk& write) {
  std::int64_t time_ms = NowMs();
  if (!request.time().empty()) {
    PEPEUNIT_ASSIGN_OR_RETURN(time_ms, TimeMs("time", request.time()));
  }
  PEPEUNIT_ASSIGN_OR_RETURN(const std::int64_t timeout_ms, TimeoutMs(request.timeout()));
  const auto query = promql::Query::Parse(request.query());
  if (!query.ok()) return Bad("query", std::string(query.status().message()));
  const promql::Limits limits = LimitsOf(context, timeout_ms);
  OutputSource source(store_, rights_, context.caller, limits);
  PEPEUNIT_ASSIGN_OR_RETURN(const promql::Result result, query->At(source, time_ms, limits));
  return WriteResult(result, time_ms, write);
}

absl::Status PrometheusApi::QueryRange(const rpc::Context& context, const log::v1::PrometheusQueryRangeRequest& request,
                                       const WriteChunk& write) {
  PEPEUNIT_ASSIGN_OR_RETURN(const std::int64_t start_ms, TimeMs("start", request.start()));
  PEPEUNIT_ASSIGN_OR_RETURN(const std::int64_t end_ms, TimeMs("end", request.end()));
  PEPEUNIT_ASSIGN_OR_RETURN(const std::int64_t timeout_ms, TimeoutMs(request.timeout()));
  std::int64_t step_ms = 0;
  if (!promql::ParseDuration(request.step(), &step_ms)) return Bad("step", "cannot parse it to a valid duration");
  const auto query = promql::Query::Parse(request.query());
  if (!query.ok()) return Bad("query", std::string(query.status().message()));
  const promql::Limits limits = LimitsOf(context, timeout_ms);
  OutputSource source(store_, rights_, context.caller, limits);
  PEPEUNIT_ASSIGN_OR_RETURN(const promql::Result result, query->Range(source, start_ms, end_ms, step_ms, limits));
  return WriteResult(result, end_ms, write);
}

absl::StatusOr<PrometheusApi::LabelSets> PrometheusApi::Matching(const rpc::Context& context,
                                                                 const Selectors& selectors) {
  std::vector<std::vector<Matcher>> each;
  for (const std::string& selector : selectors) {
    auto matchers = promql::ParseSelector(selector);
    if (!matchers.ok()) return Bad("match[]", std::string(matchers.status().message()));
    each.push_back(*std::move(matchers));
  }
  if (each.empty()) each.emplace_back();
  std::set<promql::Labels> all;
  for (const auto& matchers : each) {
    PEPEUNIT_ASSIGN_OR_RETURN(auto found, Find(rights_, context.caller, matchers));
    for (auto& [id, labels] : found) all.insert(std::move(labels));
  }
  return LabelSets(all.begin(), all.end());
}

absl::Status PrometheusApi::Series(const rpc::Context& context, const log::v1::PrometheusMatchRequest& request,
                                   const WriteChunk& write) {
  if (request.match().empty()) return absl::InvalidArgumentError("no match[] parameter provided");
  PEPEUNIT_ASSIGN_OR_RETURN(const auto sets, Matching(context, request.match()));
  std::vector<std::string> items;
  for (const auto& labels : sets) items.push_back(LabelsJson(labels));
  return WriteList(items, write);
}

absl::Status PrometheusApi::Labels(const rpc::Context& context, const log::v1::PrometheusMatchRequest& request,
                                   const WriteChunk& write) {
  PEPEUNIT_ASSIGN_OR_RETURN(const auto sets, Matching(context, request.match()));
  std::set<std::string> names;
  for (const auto& labels : sets) {
    for (const auto& [name, value] : labels) names.insert(Quoted(name));
  }
  return WriteList({names.begin(), names.end()}, write);
}

absl::Status PrometheusApi::LabelValues(const rpc::Context& context,
                                        const log::v1::PrometheusLabelValuesRequest& request, const WriteChunk& write) {
  PEPEUNIT_ASSIGN_OR_RETURN(const auto sets, Matching(context, request.match()));
  std::set<std::string> values;
  for (const auto& labels : sets) {
    if (const auto found = labels.find(request.name()); found != labels.end()) values.insert(found->second);
  }
  std::vector<std::string> items;
  for (const std::string& value : values) items.push_back(Quoted(value));
  return WriteList(items, write);
}

absl::Status PrometheusApi::Metadata(const log::v1::PrometheusMetadataRequest& request, const WriteChunk& write) {
  ChunkWriter body(write, "application/json");
  nlohmann::json data = nlohmann::json::object();
  if (request.metric().empty() || request.metric() == kMetric)
    data[kMetric] = {{{"type", "gauge"}, {"help", kHelp}, {"unit", ""}}};
  body.text = nlohmann::json({{"status", "success"}, {"data", data}}).dump();
  return body.Finish();
}

absl::Status PrometheusApi::BuildInfo(const WriteChunk& write) {
  ChunkWriter body(write, "application/json");
  body.text = R"({"status":"success","data":{"version":"2.42.0","revision":"pepeunit","branch":"","buildUser":"",)"
              R"("buildDate":"","goVersion":""}})";
  return body.Finish();
}

absl::Status PrometheusApi::Federate(const rpc::Context& context, const log::v1::PrometheusMatchRequest& request,
                                     const WriteChunk& write) {
  const promql::Limits limits = LimitsOf(context, 0);
  OutputSource source(store_, rights_, context.caller, limits);
  std::map<promql::Labels, promql::Sample> newest;
  for (const std::string& selector : request.match()) {
    const auto matchers = promql::ParseSelector(selector);
    if (!matchers.ok()) return Bad("match[]", std::string(matchers.status().message()));
    const std::int64_t now_ms = NowMs();
    PEPEUNIT_ASSIGN_OR_RETURN(const auto found, source.Select(*matchers, now_ms - limits.lookback_ms + 1, now_ms));
    for (const promql::Series& series : found) {
      if (!series.samples.empty()) newest[series.labels] = series.samples.back();
    }
  }
  // https://prometheus.io/docs/instrumenting/exposition_formats/
  ChunkWriter body(write, "text/plain; version=0.0.4; charset=utf-8");
  body.text = std::string("# HELP ") + kMetric + ' ' + kHelp + "\n# TYPE " + kMetric + " gauge\n";
  for (const auto& [labels, sample] : newest) {
    std::string text;
    for (const auto& [name, value] : labels) {
      if (name == "__name__") continue;
      text += (text.empty() ? "" : ",") + name + "=\"";
      for (const char c : value) text += c == '\\' ? "\\\\" : c == '"' ? "\\\"" : c == '\n' ? "\\n" : std::string(1, c);
      text += '"';
    }
    body.text += labels.at("__name__") + '{' + text + "} " + promql::NumberText(sample.value) + ' ' +
                 std::to_string(sample.time_ms) + '\n';
    PEPEUNIT_RETURN_IF_ERROR(body.Flush());
  }
  return body.Finish();
}

}  // namespace pepeunit::state_logger
