#include "message_json.h"

#include <google/protobuf/util/json_util.h>

#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "json_check.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/http/server.h"

namespace pepeunit::gateway {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using nlohmann::json;

constexpr int kMostDepth = 32;
constexpr std::size_t kMostParameters = 64;

// proto3 JSON of one text from the path or the query, or null when the field has no such form.
json FromText(const FieldDescriptor& field, const std::string& text) {
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_BOOL) {
    if (text == "true") return true;
    if (text == "false") return false;
  }
  return text;
}

bool HasTextForm(const FieldDescriptor& field) {
  if (field.is_map()) return false;
  if (field.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) return true;
  const std::string& type = field.message_type()->full_name();
  return type == "google.protobuf.Timestamp" || type == "google.protobuf.Duration";
}

json* PlaceOf(json* root, const std::string& path) {
  for (std::size_t from = 0; root->is_object() || root->is_null();) {
    const auto dot = path.find('.', from);
    root = &(*root)[path.substr(from, dot == std::string::npos ? dot : dot - from)];
    if (dot == std::string::npos) return root;
    from = dot + 1;
  }
  return nullptr;
}

void AddCaptures(const Binding& binding, const Captures& captures, json* root,
                 std::vector<FieldViolation>* violations) {
  for (const auto& [path, text] : captures) {
    json* place = PlaceOf(root, path);
    json value = FromText(*FindFieldPath(*binding.method->input_type(), path), text);
    if (place == nullptr || (!place->is_null() && *place != value)) {
      violations->push_back({path, "differs from the one in the path"});
      continue;
    }
    *place = std::move(value);
  }
}

// As Prometheus takes them: `match[]` for lists, of several the last, and what it does not know is passed over.
void AddPrometheusParameter(const Binding& binding, std::string name, const std::string& text, json* root) {
  if (name.ends_with("[]")) name.resize(name.size() - 2);
  const FieldDescriptor* field = binding.method->input_type()->FindFieldByName(name);
  const auto in_path = binding.path.Fields();
  if (field == nullptr || std::find(in_path.begin(), in_path.end(), name) != in_path.end()) return;
  if (field->is_repeated()) {
    (*root)[name].push_back(text);
  } else {
    (*root)[name] = text;
  }
}

void AddParameter(const Binding& binding, const std::string& name, const std::string& text, json* root,
                  std::set<std::string>* seen, std::vector<FieldViolation>* violations) {
  if (binding.prometheus) return AddPrometheusParameter(binding, name, text, root);
  const FieldDescriptor* field = FindFieldPath(*binding.method->input_type(), name);
  const FieldDescriptor* top = binding.method->input_type()->FindFieldByName(name.substr(0, name.find('.')));
  const bool in_body = binding.body == "*" || (!binding.body.empty() && name.substr(0, name.find('.')) == binding.body);
  const auto in_path = binding.path.Fields();
  if (field == nullptr || !HasTextForm(*field) || in_body || IsRange(*top) ||
      std::find(in_path.begin(), in_path.end(), name) != in_path.end()) {
    violations->push_back({name.substr(0, 256), "is no query parameter of this operation"});
    return;
  }
  const bool first = seen->insert(name).second;
  json* place = first || field->is_repeated() ? PlaceOf(root, name) : nullptr;
  if (place == nullptr) {
    violations->push_back({name, "is given twice"});
    return;
  }
  if (field->is_repeated()) {
    place->push_back(FromText(*field, text));  // null becomes an array
  } else {
    *place = FromText(*field, text);
  }
}

absl::Status AddQuery(const Binding& binding, std::string_view query, json* root,
                      std::vector<FieldViolation>* violations) {
  std::set<std::string> seen;
  std::size_t count = 0;
  while (!query.empty()) {
    const auto end = query.find('&');
    const std::string_view pair = query.substr(0, end);
    query = end == std::string_view::npos ? std::string_view() : query.substr(end + 1);
    if (pair.empty()) continue;
    if (++count > kMostParameters) return InvalidField("query", "may have at most 64 parameters");
    const auto equals = pair.find('=');
    std::string name, text;
    if (!http::PercentDecode(pair.substr(0, equals), /*form=*/true, &name) ||
        !http::PercentDecode(equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1),
                             /*form=*/true, &text)) {
      return InvalidField("query", "is not percent-encoded");
    }
    if (equals == std::string_view::npos) text = "true";
    AddParameter(binding, name, text, root, &seen, violations);
  }
  return absl::OkStatus();
}

absl::StatusOr<json> ReadBody(const Binding& binding, std::string_view body) {
  if (binding.prometheus) return json::object();  // a form, read as the query is
  if (binding.body.empty()) {
    if (body.empty()) return json::object();
    return Error(absl::StatusCode::kInvalidArgument, "INVALID_BODY", "This operation takes no body.");
  }
  if (body.empty()) return json::object();
  PEPEUNIT_ASSIGN_OR_RETURN(json parsed, ParseJson(body, kMostDepth));
  if (!parsed.is_object()) {
    return Error(absl::StatusCode::kInvalidArgument, "INVALID_BODY", "The body must be a JSON object.");
  }
  if (binding.body == "*") return parsed;
  return json{{binding.body, std::move(parsed)}};
}

// What is left for json_util to find: times, durations and text that is not UTF-8. It says "(a.b) what"; older forms
// of its messages are passed on as they are, for they quote only what the caller sent.
absl::Status Refused(const std::string& message) {
  const auto open = message.find('('), close = message.find(')');
  if (open != std::string::npos && close != std::string::npos && open < close) {
    return InvalidField(message.substr(open + 1, close - open - 1), "is not of the field's type or form");
  }
  const auto colon = message.find(':');
  return InvalidField(colon == std::string::npos ? "" : message.substr(0, colon), "is not of the field's type or form");
}

}  // namespace

absl::StatusOr<std::unique_ptr<google::protobuf::Message>> ReadRequest(const Binding& binding, const Captures& captures,
                                                                       std::string_view query, std::string_view body) {
  const Descriptor& type = *binding.method->input_type();
  PEPEUNIT_ASSIGN_OR_RETURN(json root, ReadBody(binding, body));
  std::vector<FieldViolation> violations;
  AddCaptures(binding, captures, &root, &violations);
  PEPEUNIT_RETURN_IF_ERROR(AddQuery(binding, query, &root, &violations));
  if (binding.prometheus) PEPEUNIT_RETURN_IF_ERROR(AddQuery(binding, body, &root, &violations));
  CheckJson(root, type, &violations);
  if (!violations.empty()) return InvalidFields(std::move(violations));

  std::string text;
  try {
    text = root.dump();
  } catch (const json::exception&) {
    return Error(absl::StatusCode::kInvalidArgument, "INVALID_FIELD", "The path and the query must be UTF-8.");
  }
  std::unique_ptr<google::protobuf::Message> message(
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(&type)->New());
  const auto status = google::protobuf::util::JsonStringToMessage(text, message.get());
  if (!status.ok()) return Refused(std::string(status.message()));
  return message;
}

absl::StatusOr<std::string> WriteResponse(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string text;
  const auto status = google::protobuf::util::MessageToJsonString(message, &text, options);
  if (!status.ok())
    return Internal("a " + message.GetTypeName() + " has no JSON form: " + std::string(status.message()));
  text += '\n';
  return text;
}

std::string StringField(const google::protobuf::Message& message, const std::string& name) {
  const FieldDescriptor* field = message.GetDescriptor()->FindFieldByName(name);
  if (field == nullptr || field->is_repeated() || field->type() != FieldDescriptor::TYPE_STRING) return {};
  return message.GetReflection()->GetString(message, field);
}

}  // namespace pepeunit::gateway
