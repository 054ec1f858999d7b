#include "schemas.h"

#include "comments.h"

namespace pepeunit::gateway {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;

// Google's own messages that have a JSON form of their own (proto3's JSON mapping); null for all others.
Json WellKnown(const std::string& name) {
  if (name == "google.protobuf.Timestamp") return {{"type", "string"}, {"format", "date-time"}};
  if (name == "google.protobuf.Duration") {
    return {{"type", "string"}, {"pattern", "^-?[0-9]+(\\.[0-9]{1,9})?s$"}, {"examples", {"86400s"}}};
  }
  if (name == "google.protobuf.Value") return Json::object();
  if (name == "google.protobuf.Struct") return {{"type", "object"}, {"additionalProperties", true}};
  if (name == "google.protobuf.ListValue") return {{"type", "array"}, {"items", Json::object()}};
  if (name == "google.protobuf.Empty") return {{"type", "object"}};
  return nullptr;
}

// Whether answers have the field even when nothing set it.
bool AlwaysPrinted(const FieldDescriptor& field) {
  if (field.is_repeated()) return true;
  return field.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE && field.containing_oneof() == nullptr;
}

}  // namespace

std::string SchemaName(const std::string& full_name) { return full_name.substr(full_name.rfind('.') + 1); }

Json SchemaRef(const std::string& name) { return {{"$ref", "#/components/schemas/" + name}}; }

Json Schemas::OfField(const FieldDescriptor& field, Use use) {
  Json schema;
  if (field.is_map()) {
    schema = {{"type", "object"}, {"additionalProperties", OfSingle(*field.message_type()->map_value(), use)}};
  } else if (field.is_repeated()) {
    schema = {{"type", "array"}, {"items", OfSingle(field, use)}};
  } else {
    schema = OfSingle(field, use);
  }
  const std::string comment = CommentOf(field);
  if (!comment.empty()) schema["description"] = comment;
  return schema;
}

Json Schemas::OfSingle(const FieldDescriptor& field, Use use) {
  switch (field.type()) {
    case FieldDescriptor::TYPE_BOOL:
      return {{"type", "boolean"}};
    case FieldDescriptor::TYPE_BYTES:
      return {{"type", "string"}, {"contentEncoding", "base64"}};
    case FieldDescriptor::TYPE_STRING:
      return {{"type", "string"}};
    case FieldDescriptor::TYPE_FLOAT:
      return {{"type", "number"}, {"format", "float"}};
    case FieldDescriptor::TYPE_DOUBLE:
      return {{"type", "number"}, {"format", "double"}};
    case FieldDescriptor::TYPE_ENUM:
      return OfEnum(*field.enum_type());
    case FieldDescriptor::TYPE_MESSAGE:
      return OfMessage(*field.message_type(), use);
    default:
      break;
  }
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return {{"type", "integer"}, {"format", "int32"}};
    case FieldDescriptor::CPPTYPE_UINT32:
      return {{"type", "integer"}, {"minimum", 0}};
    // As text, for a JSON number keeps 53 bits only.
    case FieldDescriptor::CPPTYPE_INT64:
      return {{"type", "string"}, {"format", "int64"}};
    default:
      return {{"type", "string"}, {"format", "uint64"}};
  }
}

Json Schemas::OfMessage(const Descriptor& message, Use use) {
  Json known = WellKnown(message.full_name());
  return known.is_null() ? Reference(message, use) : known;
}

Json Schemas::OfEnum(const EnumDescriptor& type) {
  const std::string name = SchemaName(type.full_name());
  if (!schemas_.contains(name)) {
    Json schema = {{"type", "string"}, {"enum", Json::array()}};
    std::string text = CommentOf(type);
    for (int i = 0; i < type.value_count(); ++i) {
      schema["enum"].push_back(type.value(i)->name());
      const std::string comment = CommentOf(*type.value(i));
      text += (text.empty() ? "- `"
               : i == 0     ? "\n\n- `"
                            : "\n- `") +
              type.value(i)->name() + '`' + (comment.empty() ? "" : ": " + comment);
    }
    schema["description"] = text;
    schemas_[name] = std::move(schema);
  }
  return SchemaRef(name);
}

Json Schemas::Reference(const Descriptor& message, Use use, const std::set<std::string>& without) {
  Define(message, use, without);
  return SchemaRef(SchemaName(message.full_name()));
}

void Schemas::Define(const Descriptor& message, Use use, const std::set<std::string>& without) {
  const std::string name = SchemaName(message.full_name());
  const auto found = messages_.find(name);
  // Walked again when it turns out to be used in requests too, for what it holds is then as well.
  if (found != messages_.end() && (found->second.in_request || use == Use::kResponse)) return;
  messages_[name].in_request = use == Use::kRequest;  // present before its fields, which may refer back to it
  Json properties = Json::object(), required = Json::array();
  for (int i = 0; i < message.field_count(); ++i) {
    const FieldDescriptor& field = *message.field(i);
    if (without.contains(field.name())) continue;
    properties[field.name()] = OfField(field, use);
    if (AlwaysPrinted(field)) required.push_back(field.name());
  }
  Message& defined = messages_[name];
  defined.schema = {{"type", "object"}};
  const std::string comment = CommentOf(message);
  if (!comment.empty()) defined.schema["description"] = comment;
  defined.schema["properties"] = std::move(properties);
  // A message that is nothing but a choice.
  if (message.field_count() > 0 && message.real_oneof_decl_count() == 1 &&
      message.oneof_decl(0)->field_count() == message.field_count()) {
    defined.schema["maxProperties"] = 1;
  }
  defined.required = std::move(required);
}

Json Schemas::Take() {
  for (auto& [name, message] : messages_) {
    if (message.in_request)
      message.schema["additionalProperties"] = false;
    else if (!message.required.empty())
      message.schema["required"] = std::move(message.required);
    schemas_[name] = std::move(message.schema);
  }
  Json all = Json::object();
  for (auto& [name, schema] : schemas_) all[name] = std::move(schema);
  return all;
}

}  // namespace pepeunit::gateway
