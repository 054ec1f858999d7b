#include "history_writer.h"

#include <nlohmann/json.hpp>

#include "pepeunit/base/clock.h"
#include "pepeunit/values/values.h"
#include "stage.h"

namespace pepeunit::state_logger {
namespace {

using graph::v1::FoundOutput;

std::string Quote(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// JSON of a value.
std::string ValueText(const bus::v1::Scalar& value) {
  switch (value.kind_case()) {
    case bus::v1::Scalar::kNumber:
      return NumberText(value.number());
    case bus::v1::Scalar::kBoolean:
      return value.boolean() ? "true" : "false";
    case bus::v1::Scalar::kText:
      return Quote(value.text());
    default:
      return values::ToJson(value).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }
}

// As `schema.json` names it.
std::string TypeName(const graph::v1::Variable& variable) {
  std::string name = common::v1::ValueType_Name(variable.type()).substr(std::string("VALUE_TYPE_").size());
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return name;
}

class JsonWriter final : public HistoryWriter {
 public:
  JsonWriter(const HistoryPlan& plan, const WriteChunk& write)
      : HistoryWriter(plan, ChunkWriter(write, "application/json")) {}

  void Begin() override {
    out_ += "{\"from\":" + TimeText(plan_.from_us) + ",\"to\":" + TimeText(plan_.to_us) + ",\"columns\":[\"time\"";
    for (const auto column : plan_.columns) out_ += std::string(",\"") + NameOf(column) + '"';
    out_ += "],\"series\":[";
  }
  void BeginSeries(const FoundOutput& output) override {
    const graph::v1::Variable& variable = output.variable();
    out_ += many_ ? ",{" : "{";
    many_ = true;
    out_ += "\"variable_id\":\"" + variable.id() + "\",\"name\":" + Quote(variable.name()) + ",\"unit_id\":\"" +
            variable.unit_id() + "\",\"unit_name\":" + Quote(output.unit_name()) + ",\"value_type\":\"" +
            TypeName(variable) + "\",\"unit\":" + Quote(variable.unit_of_measure()) + ",\"points\":[";
    points_ = false;
  }
  void Add(const HistoryPoint& point) override {
    out_ += points_ ? ",[" : "[";
    points_ = true;
    out_ += TimeText(point.time_us);
    for (const auto column : plan_.columns) out_ += ',' + Column(point, column);
    out_ += ']';
  }
  void EndSeries() override { out_ += "]}"; }
  void WriteEnd(const std::string& next_cursor) override { out_ += "],\"next_cursor\":\"" + next_cursor + "\"}\n"; }

 private:
  bool many_ = false, points_ = false;
};

class NdjsonWriter final : public HistoryWriter {
 public:
  NdjsonWriter(const HistoryPlan& plan, const WriteChunk& write)
      : HistoryWriter(plan, ChunkWriter(write, "application/x-ndjson")) {}

  void BeginSeries(const FoundOutput& output) override {
    head_ = "{\"variable_id\":\"" + output.variable().id() + "\",\"name\":" + Quote(output.variable().name()) +
            ",\"time\":";
  }
  void Add(const HistoryPoint& point) override {
    out_ += head_ + TimeText(point.time_us);
    for (const auto column : plan_.columns) out_ += std::string(",\"") + NameOf(column) + "\":" + Column(point, column);
    out_ += "}\n";
  }
  void WriteEnd(const std::string& next_cursor) override {
    if (!next_cursor.empty()) out_ += "{\"next_cursor\":\"" + next_cursor + "\"}\n";
  }

 private:
  std::string head_;
};

// RFC 4180.
class CsvWriter final : public HistoryWriter {
 public:
  CsvWriter(const HistoryPlan& plan, const WriteChunk& write)
      : HistoryWriter(plan, ChunkWriter(write, "text/csv; charset=utf-8", "history.csv")) {}

  void Begin() override {
    out_ += "variable_id,name,time";
    for (const auto column : plan_.columns) out_ += std::string(",") + NameOf(column);
    out_ += "\r\n";
  }
  void BeginSeries(const FoundOutput& output) override {
    head_ = output.variable().id() + ',' + output.variable().name() + ',';
  }
  void Add(const HistoryPoint& point) override {
    std::string time = TimeText(point.time_us);
    std::erase(time, '"');
    out_ += head_ + time;
    for (const auto column : plan_.columns) {
      out_ += ',';
      if (column == log::v1::HISTORY_COLUMN_VALUE && point.value.has_text()) {
        out_ += Field(point.value.text());
      } else if (std::string text = Column(point, column); text != "null") {
        out_ += point.value.has_json() ? Field(text) : text;
      }
    }
    out_ += "\r\n";
  }
  void WriteEnd(const std::string&) override {}

 private:
  static std::string Field(const std::string& text) {
    std::string field = "\"";
    for (const char c : text) {
      if (c == '"') field += '"';
      field += c;
    }
    return field + '"';
  }
  std::string head_;
};

}  // namespace

std::unique_ptr<HistoryWriter> HistoryWriter::Of(const HistoryPlan& plan, const WriteChunk& write) {
  switch (plan.format) {
    case log::v1::HISTORY_FORMAT_CSV:
      return std::make_unique<CsvWriter>(plan, write);
    case log::v1::HISTORY_FORMAT_NDJSON:
      return std::make_unique<NdjsonWriter>(plan, write);
    default:
      return std::make_unique<JsonWriter>(plan, write);
  }
}

absl::Status HistoryWriter::End(const std::string& next_cursor) {
  WriteEnd(next_cursor);
  return chunks_.Finish();
}

std::string HistoryWriter::TimeText(std::int64_t time_us) const {
  if (plan_.unix_ms) return std::to_string(time_us / 1'000);
  return '"' + FormatTime(time_us / 1'000) + '"';
}

const char* HistoryWriter::NameOf(log::v1::HistoryColumn column) {
  switch (column) {
    case log::v1::HISTORY_COLUMN_MINIMUM:
      return "minimum";
    case log::v1::HISTORY_COLUMN_MAXIMUM:
      return "maximum";
    case log::v1::HISTORY_COLUMN_SUM:
      return "sum";
    case log::v1::HISTORY_COLUMN_LAST:
      return "last";
    case log::v1::HISTORY_COLUMN_COUNT:
      return "count";
    default:
      return "value";
  }
}

std::string HistoryWriter::Column(const HistoryPoint& point, log::v1::HistoryColumn column) {
  const auto number = [&](double value) { return point.summed ? NumberText(value) : std::string("null"); };
  switch (column) {
    case log::v1::HISTORY_COLUMN_MINIMUM:
      return number(point.minimum);
    case log::v1::HISTORY_COLUMN_MAXIMUM:
      return number(point.maximum);
    case log::v1::HISTORY_COLUMN_SUM:
      return number(point.sum);
    case log::v1::HISTORY_COLUMN_LAST:
      return number(point.last);
    case log::v1::HISTORY_COLUMN_COUNT:
      return point.count > 0 ? std::to_string(point.count) : "null";
    default:
      return ValueText(point.value);
  }
}

}  // namespace pepeunit::state_logger
