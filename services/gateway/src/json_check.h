#pragma once

#include <google/protobuf/descriptor.h>

#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "pepeunit/base/errors.h"

namespace pepeunit::gateway {

// Strict JSON (RFC 8259, UTF-8) whose arrays and objects nest at most `most_depth` deep and name no key twice.
// The error says where.
absl::StatusOr<nlohmann::json> ParseJson(std::string_view text, int most_depth);

// Appends what of `object` does not fit `message`, each with the path of its field.
void CheckJson(const nlohmann::json& object, const google::protobuf::Descriptor& message,
               std::vector<FieldViolation>* violations);

}  // namespace pepeunit::gateway
