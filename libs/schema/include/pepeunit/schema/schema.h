#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "pepeunit/schema/logging.h"

// `schema.json` and `env_example.json`: what a repository says about the units made from it. The format is in
// FORMAT.md beside this library, as a JSON Schema too. Pure: no I/O; thread-safe.
namespace pepeunit::schema {


struct Variable {
  std::string name;  // 1 to 64 of A-Z a-z 0-9 _ - . beginning with a letter or _
  Type type = Type::kNumber;
  std::string unit;  // of measure
  std::string description;
  std::optional<double> minimum, maximum;  // numbers and integers
  std::vector<nlohmann::json> choices;     // empty: any
  std::optional<nlohmann::json> default_value;
  bool people_may_write = true;        // inputs
  bool links_may_write = true;         // inputs
  Logging logging;              // outputs

  bool operator==(const Variable&) const = default;
};

struct Schema {
  std::vector<std::string> world_state;  // names of the facts that the device wants: `utc`
  std::vector<Variable> unit_state, inputs, outputs;
};

// What is wrong with a file; the fields of pepeunit.common.v1.FileProblem.
struct Problem {
  std::string file;
  unsigned line = 0;
  std::string field;
  std::string message;
  bool warning = false;
};

struct SchemaResult {
  Schema schema;                  // meaningful when `ok()`
  std::vector<Problem> problems;  // all of them at once, warnings too
  bool ok() const;                // no problem but warnings
};
SchemaResult ParseSchema(std::string_view text);  // schema.json; at most 256 KiB and 512 variables

struct EnvResult {
  nlohmann::ordered_json env;  // a flat object, in the order of the file
  std::vector<Problem> problems;
  bool ok() const;
};
EnvResult ParseEnvExample(std::string_view text);  // env_example.json; at most 64 KiB and 256 keys

// The keys that Pepeunit fills in; a value of the sample under one of these names is overwritten.
inline constexpr const char* kFilledKeys[] = {"PEPEUNIT_URL", "PEPEUNIT_TOKEN", "SYNC_ENCRYPT_KEY", "SECRET_KEY"};

// Whether `value` may be a value of the variable: type, bounds, choices, size and depth. INVALID_ARGUMENT
// (INVALID_FIELD with `field`) says what is allowed.
absl::Status CheckValue(const Variable& variable, const nlohmann::json& value, const std::string& field);

// A value of `from` as a value of `to`, for a link: the same type; integer to number; number to integer when whole;
// boolean to integer or number (0 and 1); anything to json. nullopt when it cannot be, or is out of `to`'s bounds.
std::optional<nlohmann::json> Carry(const nlohmann::json& value, const Variable& to);
// Whether a link from one to the other can ever carry a value.
bool Compatible(Type from, Type to);

const char* TypeName(Type type);
std::optional<Type> ParseType(std::string_view name);

}  // namespace pepeunit::schema
