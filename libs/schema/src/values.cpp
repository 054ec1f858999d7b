#include <algorithm>
#include <cmath>
#include <cstdint>

#include "pepeunit/base/errors.h"
#include "pepeunit/schema/schema.h"

namespace pepeunit::schema {
namespace {

using nlohmann::json;

constexpr double kMaxInteger = 9007199254740991.0;  // 2^53 - 1: whole in every JSON reader
constexpr std::size_t kValueMaxBytes = 4096;
constexpr int kValueMaxDepth = 16;

bool DeeperThan(const json& value, int depth) {
  if (!value.is_structured()) return false;
  if (depth == 0) return true;
  return std::any_of(value.begin(), value.end(), [depth](const json& child) { return DeeperThan(child, depth - 1); });
}

bool IsWhole(double value) { return std::floor(value) == value && std::fabs(value) <= kMaxInteger; }

// What is wrong, or null.
const char* TypeProblem(Type type, const json& value) {
  switch (type) {
    case Type::kNumber:
      return value.is_number() && std::isfinite(value.get<double>()) ? nullptr : "must be a finite number";
    case Type::kInteger:
      return value.is_number() && IsWhole(value.get<double>()) ? nullptr : "must be a whole number within +-(2^53 - 1)";
    case Type::kBoolean:
      return value.is_boolean() ? nullptr : "must be true or false";
    case Type::kString:
      if (!value.is_string() || value.get_ref<const std::string&>().size() > kValueMaxBytes)
        return "must be a string of at most 4096 bytes";
      // PostgreSQL has no such character in its texts.
      return value.get_ref<const std::string&>().find('\0') == std::string::npos
                 ? nullptr
                 : "must not contain the character U+0000";
    case Type::kJson:
      if (DeeperThan(value, kValueMaxDepth)) return "must have at most 16 levels";
      return value.dump(-1, ' ', false, json::error_handler_t::replace).size() <= kValueMaxBytes
                 ? nullptr
                 : "must be JSON of at most 4096 bytes";
  }
  return "is of an unknown type";
}

std::string NumberText(double value) { return json(value).dump(); }

std::string BoundsText(const Variable& v) {
  if (v.minimum && v.maximum) return "must be from " + NumberText(*v.minimum) + " to " + NumberText(*v.maximum);
  return v.minimum ? "must be at least " + NumberText(*v.minimum) : "must be at most " + NumberText(*v.maximum);
}

bool InBounds(const Variable& v, const json& value) {
  if (!v.minimum && !v.maximum) return true;
  const double number = value.get<double>();
  return (!v.minimum || number >= *v.minimum) && (!v.maximum || number <= *v.maximum);
}

bool InChoices(const Variable& v, const json& value) {
  return v.choices.empty() || std::find(v.choices.begin(), v.choices.end(), value) != v.choices.end();
}

// As many of them as a small device can take in an answer.
std::string ChoicesText(const Variable& v) {
  constexpr std::size_t kMostText = 100;
  std::string text;
  for (const json& choice : v.choices) {
    const std::string one = choice.dump(-1, ' ', false, json::error_handler_t::replace);
    if (text.size() + one.size() > kMostText) return text + (text.empty() ? "" : ", ") + "...";
    text += (text.empty() ? "" : ", ") + one;
  }
  return text;
}

bool Fits(const Variable& v, const json& value) {
  return TypeProblem(v.type, value) == nullptr && InBounds(v, value) && InChoices(v, value);
}

}  // namespace

absl::Status CheckValue(const Variable& variable, const json& value, const std::string& field) {
  if (const char* problem = TypeProblem(variable.type, value)) return InvalidField(field, problem);
  if (!InBounds(variable, value)) return InvalidField(field, BoundsText(variable));
  if (!InChoices(variable, value)) {
    return InvalidField(field, "must be one of " + ChoicesText(variable));
  }
  return absl::OkStatus();
}

bool Compatible(Type from, Type to) {
  if (from == to || to == Type::kJson) return true;
  switch (to) {
    case Type::kNumber:
      return from == Type::kInteger || from == Type::kBoolean;
    case Type::kInteger:
      return from == Type::kNumber || from == Type::kBoolean;
    default:
      return false;
  }
}

std::optional<json> Carry(const json& value, const Variable& to) {
  json carried = value;
  if (value.is_boolean() && (to.type == Type::kNumber || to.type == Type::kInteger))
    carried = value.get<bool>() ? 1 : 0;
  if (to.type == Type::kInteger && carried.is_number_float() && IsWhole(carried.get<double>())) {
    carried = static_cast<std::int64_t>(carried.get<double>());
  }
  if (!Fits(to, carried)) return std::nullopt;
  return carried;
}

const char* TypeName(Type type) {
  switch (type) {
    case Type::kNumber:
      return "number";
    case Type::kInteger:
      return "integer";
    case Type::kBoolean:
      return "boolean";
    case Type::kString:
      return "string";
    case Type::kJson:
      return "json";
  }
  return "number";
}

std::optional<Type> ParseType(std::string_view name) {
  for (const Type type : {Type::kNumber, Type::kInteger, Type::kBoolean, Type::kString, Type::kJson}) {
    if (name == TypeName(type)) return type;
  }
  return std::nullopt;
}

}  // namespace pepeunit::schema
