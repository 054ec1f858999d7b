#pragma once

#include <google/protobuf/struct.pb.h>

#include <nlohmann/json.hpp>
#include <string>

#include "pepeunit/bus/v1/values.pb.h"
#include "pepeunit/graph/v1/units.pb.h"
#include "pepeunit/schema/schema.h"

// One value in its three clothes: JSON (devices, people), bus.v1.Scalar (stream, tables), google.protobuf.Value (API);
// and a variable's definition as the schema library and as the API have it. Pure, thread-safe.
namespace pepeunit::values {

// `value` must have passed schema::CheckValue for `type`.
void ToScalar(const nlohmann::json& value, schema::Type type, bus::v1::Scalar* out);
// null for a scalar that is not set, or whose JSON text is broken.
nlohmann::json ToJson(const bus::v1::Scalar& scalar);

// Whole numbers within +-2^53 become integers, so that 3 is not shown as 3.0.
nlohmann::json ToJson(const google::protobuf::Value& value);
void ToValue(const nlohmann::json& value, google::protobuf::Value* out);

// `logging.mode` must be a known one.
schema::Logging ToLogging(const common::v1::Logging& logging);
common::v1::Logging FromLogging(const schema::Logging& logging);
// The policy and its short name.
void SetLogging(const schema::Logging& logging, graph::v1::Variable* out);

schema::Variable ToDefinition(const graph::v1::Variable& variable);
// All but id, unit_id and level.
void FromDefinition(const schema::Variable& definition, graph::v1::VariableKind kind, graph::v1::Variable* out);

}  // namespace pepeunit::values
