#include "schema_stamp.h"

#include <exception>
#include <nlohmann/json.hpp>

#include "pepeunit/base/errors.h"

namespace pepeunit::archive {
namespace {

constexpr int kMaxDepth = 32;
constexpr char kKey[] = "pepeunit";

absl::Status InvalidSchema() {
  return Error(absl::StatusCode::kFailedPrecondition, "INVALID_REPOSITORY",
               "schema.json at the unit's version is not a JSON object.");
}

}  // namespace

absl::StatusOr<std::string> StampSchema(std::string_view text, const std::string& commit, const Uuid& unit) {
  using Json = nlohmann::ordered_json;
  if (text.size() > kMaxSchema) return InvalidSchema();
  bool too_deep = false;
  // Writing recurses, so the depth is bounded while it is read, which does not.
  const auto bound = [&](int depth, Json::parse_event_t, Json&) {
    too_deep = too_deep || depth > kMaxDepth;
    return depth <= kMaxDepth;
  };
  try {
    Json schema = Json::parse(text, bound, /*allow_exceptions=*/false);
    if (too_deep || !schema.is_object()) return InvalidSchema();
    schema.erase(kKey);
    schema[kKey] = Json{{"commit", commit}, {"unit", unit.ToString()}};
    return schema.dump(2) + "\n";
  } catch (const std::exception&) {  // a string that is not UTF-8
    return InvalidSchema();
  }
}

}  // namespace pepeunit::archive
