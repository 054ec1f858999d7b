#include "version_files.h"

#include <utility>

#include "pepeunit/base/errors.h"

namespace pepeunit::graph_registry {
namespace {

void Add(const std::vector<schema::Problem>& problems, std::vector<FieldViolation>* out) {
  for (const auto& p : problems) {
    if (p.warning) continue;
    std::string where = p.file;
    if (p.line > 0) where += ":" + std::to_string(p.line);
    if (!p.field.empty()) where += " " + p.field;
    out->push_back({where, p.message});
  }
}

}  // namespace

absl::StatusOr<VersionFiles> ReadVersionFiles(const repo::v1::ResolveVersionResponse& version) {
  std::vector<FieldViolation> violations;
  VersionFiles files;
  if (!version.has_schema_json()) {
    violations.push_back({"schema.json", "is missing at the root of the repository"});
  } else {
    auto parsed = schema::ParseSchema(version.schema_json());
    Add(parsed.problems, &violations);
    files.schema = std::move(parsed.schema);
  }
  if (!version.has_env_example_json()) {
    violations.push_back({"env_example.json", "is missing at the root of the repository"});
  } else {
    auto parsed = schema::ParseEnvExample(version.env_example_json());
    Add(parsed.problems, &violations);
    files.env = std::move(parsed.env);
  }
  if (violations.empty()) return files;
  std::string message = "The repository cannot be used at commit " + version.commit().substr(0, 12) + ":";
  for (const auto& v : violations) message += " " + v.field + " " + v.description + ";";
  message.pop_back();
  return WithViolations(Error(absl::StatusCode::kFailedPrecondition, "INVALID_REPOSITORY", message), std::move(violations));
}

}  // namespace pepeunit::graph_registry
