#include "bindings.h"

#include <google/protobuf/descriptor.pb.h>

#include <sstream>

#include "google/api/annotations.pb.h"
#include "pepeunit/common/v1/options.pb.h"

namespace pepeunit::gateway {
namespace {

using google::api::HttpRule;
using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::MethodDescriptor;

constexpr char kFileChunk[] = "pepeunit.common.v1.FileChunk";

absl::Status Wrong(const MethodDescriptor& method, const std::string& why) {
  return absl::InvalidArgumentError(method.full_name() + ": " + why);
}

bool VerbAndPattern(const HttpRule& rule, std::string* verb, std::string* pattern) {
  switch (rule.pattern_case()) {
    case HttpRule::kGet:
      *verb = "GET";
      *pattern = rule.get();
      return true;
    case HttpRule::kPut:
      *verb = "PUT";
      *pattern = rule.put();
      return true;
    case HttpRule::kPost:
      *verb = "POST";
      *pattern = rule.post();
      return true;
    case HttpRule::kDelete:
      *verb = "DELETE";
      *pattern = rule.delete_();
      return true;
    case HttpRule::kPatch:
      *verb = "PATCH";
      *pattern = rule.patch();
      return true;
    default:
      return false;
  }
}

absl::StatusOr<Binding> BindingOf(const MethodDescriptor& method, const HttpRule& rule) {
  Binding binding;
  binding.method = &method;
  binding.body = rule.body();
  std::string pattern;
  if (!VerbAndPattern(rule, &binding.verb, &pattern)) return Wrong(method, "the binding has no known verb");
  auto path = PathTemplate::Parse(pattern);
  if (!path.ok()) return Wrong(method, std::string(path.status().message()));
  binding.path = *std::move(path);
  for (const std::string& field : binding.path.Fields()) {
    const FieldDescriptor* found = FindFieldPath(*method.input_type(), field);
    if (found == nullptr || found->is_repeated() || found->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      return Wrong(method, "the path names '" + field + "', which is not a single field of the request");
    }
  }
  if (!binding.body.empty() && binding.body != "*") {
    const FieldDescriptor* body = method.input_type()->FindFieldByName(binding.body);
    if (body == nullptr || body->is_repeated() || body->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
      return Wrong(method, "the body names '" + binding.body + "', which is not a message of the request");
    }
  }
  if (!rule.response_body().empty()) return Wrong(method, "response_body is not supported");
  binding.idempotency_key = method.options().GetExtension(common::v1::idempotency_key);
  binding.if_match = method.options().GetExtension(common::v1::if_match);
  binding.prometheus = method.options().GetExtension(common::v1::prometheus);
  if (method.client_streaming()) return Wrong(method, "a stream of requests has no form in HTTP");
  const bool chunks = method.output_type()->full_name() == kFileChunk;
  binding.file = method.server_streaming() && chunks;
  binding.events = method.server_streaming() && !chunks;
  if (binding.events && binding.verb != "GET") {
    return Wrong(method, std::string("a stream of anything but ") + kFileChunk + " is one of events, which answer GET");
  }
  return binding;
}

}  // namespace

absl::StatusOr<std::vector<Binding>> BindingsOf(const google::protobuf::FileDescriptor& file) {
  std::vector<Binding> bindings;
  for (int s = 0; s < file.service_count(); ++s) {
    for (int m = 0; m < file.service(s)->method_count(); ++m) {
      const MethodDescriptor& method = *file.service(s)->method(m);
      if (!method.options().HasExtension(google::api::http)) continue;
      const HttpRule& rule = method.options().GetExtension(google::api::http);
      auto first = BindingOf(method, rule);
      if (!first.ok()) return first.status();
      bindings.push_back(*std::move(first));
      for (const HttpRule& more : rule.additional_bindings()) {
        auto next = BindingOf(method, more);
        if (!next.ok()) return next.status();
        bindings.push_back(*std::move(next));
      }
    }
  }
  return bindings;
}

const FieldDescriptor* FindFieldPath(const Descriptor& message, const std::string& path) {
  const Descriptor* at = &message;
  const FieldDescriptor* field = nullptr;
  std::istringstream steps(path);
  for (std::string step; std::getline(steps, step, '.');) {
    if (at == nullptr) return nullptr;
    field = at->FindFieldByName(step);
    if (field == nullptr) return nullptr;
    at = field->is_repeated() ? nullptr : field->message_type();
  }
  return field;
}

bool IsRange(const FieldDescriptor& field) {
  return field.message_type() != nullptr && field.message_type()->full_name() == "pepeunit.common.v1.FileRange";
}

Formats FormatsOf(const Descriptor& request) {
  Formats found;
  for (int i = 0; i < request.field_count() && found.formats.empty(); ++i) {
    found.field = request.field(i);
    const auto* type = found.field->enum_type();
    for (int v = 0; type != nullptr && v < type->value_count(); ++v) {
      const std::string media_type = type->value(v)->options().GetExtension(common::v1::media_type);
      if (!media_type.empty()) found.formats.push_back({media_type, type->value(v)->number()});
    }
  }
  if (found.formats.empty()) found.field = nullptr;
  return found;
}

bool Creates(const MethodDescriptor& method) {
  const FieldDescriptor* id = method.output_type()->FindFieldByName("id");
  return method.name().starts_with("Create") && id != nullptr && id->type() == FieldDescriptor::TYPE_STRING;
}

}  // namespace pepeunit::gateway
