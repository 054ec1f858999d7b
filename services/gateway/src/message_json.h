#pragma once

#include <google/protobuf/message.h>

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "bindings.h"

// Between HTTP's JSON and the messages of the API, by proto3's JSON mapping with the names as proto/ writes them.
namespace pepeunit::gateway {

// Fills the request of `binding` from the path, the query and the body. Everything that does not fit is refused, each
// field by its name: unknown fields and parameters, wrong types, unknown enum names, fields said twice, and bodies
// that are no JSON object or nested deeper than 32 levels.
absl::StatusOr<std::unique_ptr<google::protobuf::Message>> ReadRequest(const Binding& binding, const Captures& captures,
                                                                       std::string_view query, std::string_view body);

// Every field, those with default values too, but for absent messages and optional fields.
absl::StatusOr<std::string> WriteResponse(const google::protobuf::Message& message);

// The value of a string field; empty when the message has none of that name.
std::string StringField(const google::protobuf::Message& message, const std::string& name);

}  // namespace pepeunit::gateway
