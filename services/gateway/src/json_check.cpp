#include "json_check.h"

#include <absl/strings/numbers.h>

#include <cmath>
#include <limits>
#include <set>
#include <string>

#include "pepeunit/base/absl_compat.h"
#include "pepeunit/base/bytes.h"

namespace pepeunit::gateway {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using nlohmann::json;

constexpr std::size_t kMostViolations = 20;

absl::Status BadBody(const std::string& message) {
  return Error(absl::StatusCode::kInvalidArgument, "INVALID_BODY", message);
}

// Watches depth and keys while nlohmann parses; the parse itself keeps no stack.
class ParseGuard {
 public:
  explicit ParseGuard(int most_depth) : most_depth_(most_depth) {}

  bool operator()(int depth, json::parse_event_t event, json& value) {
    if (event == json::parse_event_t::object_start || event == json::parse_event_t::array_start) {
      if (depth >= most_depth_) problem_ = "The body is nested deeper than " + std::to_string(most_depth_) + " levels.";
      if (event == json::parse_event_t::object_start) keys_.emplace_back();
    } else if (event == json::parse_event_t::object_end) {
      if (!keys_.empty()) keys_.pop_back();
    } else if (event == json::parse_event_t::key && !keys_.empty()) {
      const auto& key = value.get_ref<const std::string&>();
      if (!keys_.back().insert(key).second) problem_ = "The body names '" + key.substr(0, 64) + "' twice.";
    }
    // A discarded value costs nothing to build; the parser still checks the rest of the text.
    return problem_.empty();
  }

  const std::string& problem() const { return problem_; }

 private:
  int most_depth_;
  std::string problem_;
  std::vector<std::set<std::string>> keys_;
};

class Checker {
 public:
  explicit Checker(std::vector<FieldViolation>* violations) : violations_(*violations) {}

  void Object(const json& object, const Descriptor& message, const std::string& path) {
    std::set<const google::protobuf::OneofDescriptor*> chosen;
    for (const auto& [key, value] : object.items()) {
      if (violations_.size() >= kMostViolations) return;
      const std::string at = path.empty() ? key : path + '.' + key;
      const FieldDescriptor* field = message.FindFieldByName(key);
      if (field == nullptr) {
        Say(at, "is no field of this message");
        continue;
      }
      const auto* oneof = field->real_containing_oneof();
      if (oneof != nullptr && !value.is_null() && !chosen.insert(oneof).second) {
        Say(at, "only one of the fields of '" + oneof->name() + "' may be given");
      }
      Field(value, *field, at);
    }
  }

 private:
  void Say(const std::string& field, const std::string& what) {
    if (violations_.size() < kMostViolations) violations_.push_back({field.substr(0, 256), what});
  }

  void Field(const json& value, const FieldDescriptor& field, const std::string& at) {
    const bool any = field.message_type() != nullptr && field.message_type()->full_name() == "google.protobuf.Value";
    if (value.is_null() && !any) return;  // proto3 JSON: as if it were absent
    if (field.is_map()) {
      if (!value.is_object()) return Say(at, "must be an object");
      for (const auto& [key, item] : value.items()) Single(item, *field.message_type()->map_value(), at + '.' + key);
    } else if (field.is_repeated()) {
      if (!value.is_array()) return Say(at, "must be an array");
      for (std::size_t i = 0; i < value.size(); ++i) Single(value[i], field, at + '[' + std::to_string(i) + ']');
    } else {
      Single(value, field, at);
    }
  }

  void Single(const json& value, const FieldDescriptor& field, const std::string& at) {
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
        return Integer<std::int32_t>(value, at);
      case FieldDescriptor::CPPTYPE_UINT32:
        return Integer<std::uint32_t>(value, at);
      case FieldDescriptor::CPPTYPE_INT64:
        return Integer<std::int64_t>(value, at);
      case FieldDescriptor::CPPTYPE_UINT64:
        return Integer<std::uint64_t>(value, at);
      case FieldDescriptor::CPPTYPE_FLOAT:
      case FieldDescriptor::CPPTYPE_DOUBLE:
        return Number(value, at);
      case FieldDescriptor::CPPTYPE_BOOL:
        if (!value.is_boolean()) Say(at, "must be true or false");
        return;
      case FieldDescriptor::CPPTYPE_ENUM:
        return Enum(value, *field.enum_type(), at);
      case FieldDescriptor::CPPTYPE_STRING:
        return Text(value, field.type() == FieldDescriptor::TYPE_BYTES, at);
      case FieldDescriptor::CPPTYPE_MESSAGE:
        return Message(value, *field.message_type(), at);
    }
  }

  template <typename T>
  void Integer(const json& value, const std::string& at) {
    bool fits = false;
    if (value.is_string()) {
      T parsed{};
      fits = absl::SimpleAtoi(ToAbsl(value.get_ref<const std::string&>()), &parsed);
    } else if (value.is_number_unsigned()) {
      fits = value.get<std::uint64_t>() <= static_cast<std::uint64_t>(std::numeric_limits<T>::max());
    } else if (value.is_number_integer()) {
      fits =
          std::is_signed_v<T> && value.get<std::int64_t>() >= static_cast<std::int64_t>(std::numeric_limits<T>::min());
    }
    if (!fits) {
      Say(at, "must be a whole number from " + std::to_string(std::numeric_limits<T>::min()) + " to " +
                  std::to_string(std::numeric_limits<T>::max()));
    }
  }

  void Number(const json& value, const std::string& at) {
    double parsed = 0;
    const bool text = value.is_string() && absl::SimpleAtod(ToAbsl(value.get_ref<const std::string&>()), &parsed);
    if (!value.is_number() && !(text && std::isfinite(parsed))) Say(at, "must be a number");
  }

  void Enum(const json& value, const EnumDescriptor& type, const std::string& at) {
    if (value.is_string() && type.FindValueByName(value.get_ref<const std::string&>()) != nullptr) return;
    std::string names;
    for (int i = 0; i < type.value_count(); ++i) names += (i == 0 ? "" : ", ") + type.value(i)->name();
    Say(at, "must be one of " + names);
  }

  void Text(const json& value, bool base64, const std::string& at) {
    if (!value.is_string()) return Say(at, "must be a string");
    if (base64 && !Base64Decode(value.get_ref<const std::string&>())) Say(at, "must be base64 (RFC 4648)");
  }

  void Message(const json& value, const Descriptor& type, const std::string& at) {
    const std::string& name = type.full_name();
    if (name == "google.protobuf.Value") return;
    if (name == "google.protobuf.Timestamp") {
      if (!value.is_string()) Say(at, "must be a time such as 2026-11-23T15:04:05Z (RFC 3339)");
    } else if (name == "google.protobuf.Duration") {
      if (!value.is_string()) Say(at, "must be a duration in seconds such as \"86400s\"");
    } else if (name == "google.protobuf.ListValue") {
      if (!value.is_array()) Say(at, "must be an array");
    } else if (!value.is_object()) {
      Say(at, "must be an object");
    } else if (!name.starts_with("google.protobuf.")) {
      Object(value, type, at);
    }
  }

  std::vector<FieldViolation>& violations_;
};

}  // namespace

absl::StatusOr<json> ParseJson(std::string_view text, int most_depth) {
  ParseGuard guard(most_depth);
  try {
    json parsed = json::parse(text, std::ref(guard));
    if (!guard.problem().empty()) return BadBody(guard.problem());
    return parsed;
  } catch (const json::parse_error& e) {
    // The parser's text quotes the input, so only the place is told.
    return BadBody("The body is not JSON: an error near byte " + std::to_string(e.byte) + ".");
  } catch (const json::exception&) {
    return BadBody("The body is not JSON: a number is too large.");
  }
}

void CheckJson(const json& object, const Descriptor& message, std::vector<FieldViolation>* violations) {
  Checker(violations).Object(object, message, "");
}

}  // namespace pepeunit::gateway
