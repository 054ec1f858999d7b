#include "csv_import.h"

#include <algorithm>
#include <charconv>

#include "history_plan.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/base/utf8.h"
#include "pepeunit/values/values.h"

namespace pepeunit::state_logger {
namespace {

constexpr std::size_t kMostLineBytes = 8 << 10, kMostColumns = 64;

// Takes records from a text, one after the other.
class Records {
 public:
  explicit Records(const std::string& text) : text_(text) {}

  bool done() const { return at_ >= text_.size(); }
  std::int64_t line() const { return line_; }  // where the record that was taken last began

  // What is wrong with the record, or empty. It is passed over in any case.
  std::string Next(std::vector<std::string>* fields) {
    fields->assign(1, "");
    line_ = next_line_;
    const std::size_t begin = at_;
    std::string wrong;
    bool quoted = false, was_quoted = false;
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '\n') ++next_line_;
      if (quoted) {
        if (c != '"') {
          Append(c, fields, &wrong);
        } else if (at_ + 1 < text_.size() && text_[at_ + 1] == '"') {
          Append(text_[++at_], fields, &wrong);
        } else {
          quoted = false;
        }
        // A quote that never ends must not swallow the rest of the file.
        if (at_ - begin > kMostLineBytes) return SkipFrom(begin, "a quote has no end within 8 KiB");
        continue;
      }
      if (c == '\n') break;
      if (c == '\r' && at_ + 1 < text_.size() && text_[at_ + 1] == '\n') continue;
      if (c == ',') {
        if (fields->size() == kMostColumns && wrong.empty()) wrong = "has more than 64 columns";
        if (wrong.empty()) fields->emplace_back();
        was_quoted = false;
      } else if (c == '"' && fields->back().empty() && !was_quoted) {
        quoted = was_quoted = true;
      } else if (c == '"' || was_quoted) {
        if (wrong.empty()) wrong = "has a quote in the middle of a field";
      } else {
        Append(c, fields, &wrong);
      }
    }
    if (quoted) return SkipFrom(begin, "a quote has no end");
    if (at_ < text_.size()) ++at_;
    if (at_ - begin > kMostLineBytes && wrong.empty()) wrong = "is longer than 8 KiB";
    return wrong;
  }

 private:
  static void Append(char c, std::vector<std::string>* fields, const std::string* wrong) {
    if (wrong->empty() && fields->back().size() <= kMostLineBytes) fields->back() += c;
  }
  // Goes on at the line after the one where the record began.
  std::string SkipFrom(std::size_t begin, const char* wrong) {
    const std::size_t end = text_.find('\n', begin);
    at_ = end == std::string::npos ? text_.size() : end + 1;
    next_line_ = line_ + 1;
    return wrong;
  }

  const std::string& text_;
  std::size_t at_ = 0;
  std::int64_t line_ = 0, next_line_ = 1;
};

// JSON of the value that a field holds; discarded when it is none of the type.
nlohmann::json ParseField(const std::string& field, schema::Type type) {
  switch (type) {
    case schema::Type::kString:
      return field;
    case schema::Type::kBoolean:
      if (field == "true" || field == "1") return true;
      if (field == "false" || field == "0") return false;
      return nlohmann::json::value_t::discarded;
    case schema::Type::kJson:
      return nlohmann::json::parse(field, nullptr, false);
    default: {
      auto number = nlohmann::json::parse(field, nullptr, false);
      return number.is_number() ? number : nlohmann::json(nlohmann::json::value_t::discarded);
    }
  }
}

std::string Described(const absl::Status& status) {
  const auto info = InfoOf(status);
  return info.violations.empty() ? std::string(status.message()) : "value " + info.violations[0].description;
}

// What is wrong, or empty.
std::string ReadOne(const std::string& time, const std::string& value, const schema::Variable& variable,
                    std::int64_t now_ms, ImportedReading* out) {
  constexpr char kTime[] = "time must be RFC 3339 or seconds since 1970, from 1970 on and not in the future";
  if (time.empty() || time[0] == '-' || time[0] == 'n') return kTime;
  const auto us = ReadTimeUs(time, now_ms);
  if (!us || *us > now_ms * 1'000) return kTime;
  const auto json = ParseField(value, variable.type);
  if (json.is_discarded()) return "value is not of the variable's type";
  if (const absl::Status fits = schema::CheckValue(variable, json, "value"); !fits.ok()) return Described(fits);
  out->time_us = *us;
  values::ToScalar(json, variable.type, &out->value);
  return "";
}

}  // namespace

absl::StatusOr<CsvReadings> ReadCsv(const std::string& csv, const schema::Variable& variable, std::int64_t now_ms) {
  if (!IsUtf8(csv)) return InvalidField("csv", "is not UTF-8");
  if (csv.find('\0') != std::string::npos) return InvalidField("csv", "has a NUL");
  constexpr std::string_view kMark = "\xef\xbb\xbf";
  const std::string text = csv.rfind(kMark, 0) == 0 ? csv.substr(kMark.size()) : csv;
  Records records(text);
  std::vector<std::string> fields;
  const std::string wrong_header = records.done() ? "is empty" : records.Next(&fields);
  const auto column = [&](const char* name) {
    return static_cast<std::size_t>(std::find(fields.begin(), fields.end(), name) - fields.begin());
  };
  const std::size_t time = column("time"), value = column("value"), columns = fields.size();
  if (!wrong_header.empty() || time == columns || value == columns)
    return InvalidField("csv", "must begin with a header that names the columns time and value");
  CsvReadings read;
  while (!records.done()) {
    std::string wrong = records.Next(&fields);
    if (wrong.empty() && fields.size() == 1 && fields[0].empty()) continue;
    ++read.lines;
    ImportedReading reading;
    if (wrong.empty() && fields.size() != columns) wrong = "has another number of columns than the header";
    if (wrong.empty()) wrong = ReadOne(fields[time], fields[value], variable, now_ms, &reading);
    if (wrong.empty()) {
      read.readings.push_back(std::move(reading));
      continue;
    }
    ++read.refused;
    if (read.refusals.size() < kMostRefusals) read.refusals.emplace_back(records.line(), std::move(wrong));
  }
  return read;
}

}  // namespace pepeunit::state_logger
