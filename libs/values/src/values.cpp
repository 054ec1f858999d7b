#include "pepeunit/values/values.h"

#include <cmath>

namespace pepeunit::values {
namespace {

using nlohmann::json;

json Number(double value) {
  constexpr double kExact = 9007199254740992.0;
  if (std::floor(value) == value && std::fabs(value) < kExact) return static_cast<std::int64_t>(value);
  return value;
}

common::v1::ValueType ToProto(schema::Type type) {
  return static_cast<common::v1::ValueType>(static_cast<int>(type) + 1);
}

schema::Type FromProto(common::v1::ValueType type) {
  return type == common::v1::VALUE_TYPE_UNSPECIFIED ? schema::Type::kJson
                                                    : static_cast<schema::Type>(static_cast<int>(type) - 1);
}
static_assert(static_cast<int>(schema::Type::kNumber) + 1 == common::v1::VALUE_TYPE_NUMBER &&
              static_cast<int>(schema::Type::kJson) + 1 == common::v1::VALUE_TYPE_JSON);

std::string Dump(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

}  // namespace

void ToScalar(const json& value, schema::Type type, bus::v1::Scalar* out) {
  switch (type) {
    case schema::Type::kNumber:
    case schema::Type::kInteger:
      out->set_number(value.get<double>());
      return;
    case schema::Type::kBoolean:
      out->set_boolean(value.get<bool>());
      return;
    case schema::Type::kString:
      out->set_text(value.get_ref<const std::string&>());
      return;
    case schema::Type::kJson:
      out->set_json(Dump(value));
      return;
  }
}

json ToJson(const bus::v1::Scalar& scalar) {
  switch (scalar.kind_case()) {
    case bus::v1::Scalar::kNumber:
      return Number(scalar.number());
    case bus::v1::Scalar::kBoolean:
      return scalar.boolean();
    case bus::v1::Scalar::kText:
      return scalar.text();
    case bus::v1::Scalar::kJson: {
      json value = json::parse(scalar.json(), nullptr, false);
      return value.is_discarded() ? json() : value;
    }
    case bus::v1::Scalar::KIND_NOT_SET:
      break;
  }
  return nullptr;
}

json ToJson(const google::protobuf::Value& value) {
  using google::protobuf::Value;
  switch (value.kind_case()) {
    case Value::kNumberValue:
      return Number(value.number_value());
    case Value::kStringValue:
      return value.string_value();
    case Value::kBoolValue:
      return value.bool_value();
    case Value::kStructValue: {
      json object = json::object();
      for (const auto& [key, field] : value.struct_value().fields()) object[key] = ToJson(field);
      return object;
    }
    case Value::kListValue: {
      json list = json::array();
      for (const auto& item : value.list_value().values()) list.push_back(ToJson(item));
      return list;
    }
    default:
      return nullptr;
  }
}

void ToValue(const json& value, google::protobuf::Value* out) {
  switch (value.type()) {
    case json::value_t::boolean:
      out->set_bool_value(value.get<bool>());
      return;
    case json::value_t::number_integer:
    case json::value_t::number_unsigned:
    case json::value_t::number_float:
      out->set_number_value(value.get<double>());
      return;
    case json::value_t::string:
      out->set_string_value(value.get<std::string>());
      return;
    case json::value_t::array:
      out->mutable_list_value();
      for (const auto& item : value) ToValue(item, out->mutable_list_value()->add_values());
      return;
    case json::value_t::object:
      out->mutable_struct_value();
      for (const auto& [key, item] : value.items())
        ToValue(item, &(*out->mutable_struct_value()->mutable_fields())[key]);
      return;
    default:
      out->set_null_value(google::protobuf::NULL_VALUE);
  }
}

schema::Logging ToLogging(const common::v1::Logging& logging) {
  schema::Logging l;
  if (logging.mode() != common::v1::LOGGING_MODE_UNSPECIFIED)
    l.mode = static_cast<schema::LoggingMode>(static_cast<int>(logging.mode()) - 1);
  l.window_s = logging.window_s();
  if (logging.has_grace_s()) l.grace_s = logging.grace_s();
  l.dead_band = logging.dead_band();
  l.every_s = logging.every_s();
  l.keep_s = logging.keep_s();
  return l;
}

common::v1::Logging FromLogging(const schema::Logging& logging) {
  common::v1::Logging l;
  l.set_mode(static_cast<common::v1::LoggingMode>(static_cast<int>(logging.mode) + 1));
  l.set_window_s(logging.window_s);
  if (logging.windowed()) l.set_grace_s(logging.grace_s);
  l.set_dead_band(logging.dead_band);
  l.set_every_s(logging.every_s);
  l.set_keep_s(logging.keep_s);
  return l;
}
static_assert(static_cast<int>(schema::LoggingMode::kOff) + 1 == common::v1::LOGGING_MODE_OFF &&
              static_cast<int>(schema::LoggingMode::kRate) + 1 == common::v1::LOGGING_MODE_RATE);

void SetLogging(const schema::Logging& logging, graph::v1::Variable* out) {
  out->set_logging(schema::ModeName(logging.mode));
  *out->mutable_logging_policy() = FromLogging(logging);
}

schema::Variable ToDefinition(const graph::v1::Variable& variable) {
  schema::Variable v;
  v.name = variable.name();
  v.type = FromProto(variable.type());
  v.unit = variable.unit_of_measure();
  v.description = variable.description();
  if (variable.has_minimum()) v.minimum = variable.minimum();
  if (variable.has_maximum()) v.maximum = variable.maximum();
  for (const auto& choice : variable.choices()) v.choices.push_back(ToJson(choice));
  if (variable.has_default_value()) v.default_value = ToJson(variable.default_value());
  v.people_may_write = variable.writable_by_people();
  v.links_may_write = variable.writable_by_links();
  if (variable.has_logging_policy())
    v.logging = ToLogging(variable.logging_policy());
  else if (variable.logging() == "off")  // stored before there were policies
    v.logging.mode = schema::LoggingMode::kOff;
  return v;
}

void FromDefinition(const schema::Variable& definition, graph::v1::VariableKind kind, graph::v1::Variable* out) {
  out->set_kind(kind);
  out->set_name(definition.name);
  out->set_type(ToProto(definition.type));
  out->set_unit_of_measure(definition.unit);
  out->set_description(definition.description);
  if (definition.minimum) out->set_minimum(*definition.minimum);
  if (definition.maximum) out->set_maximum(*definition.maximum);
  for (const auto& choice : definition.choices) ToValue(choice, out->add_choices());
  if (definition.default_value) ToValue(*definition.default_value, out->mutable_default_value());
  if (kind == graph::v1::VARIABLE_KIND_INPUT) {
    out->set_writable_by_people(definition.people_may_write);
    out->set_writable_by_links(definition.links_may_write);
  } else {
    SetLogging(definition.logging, out);
  }
}

}  // namespace pepeunit::values
