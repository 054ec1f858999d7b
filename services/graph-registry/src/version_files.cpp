#include "version_files.h"

#include <utility>

#include "pepeunit/base/errors.h"

namespace pepeunit::graph_registry {
namespace {

// Errors travel in headers, which gRPC bounds to 8 KiB: the first problems are enough to begin mending.
constexpr std::size_t kMostProblems = 12;
constexpr std::size_t kMostMessage = 160;

// Cut before a character, not in it.
std::string Shorten(const std::string& text, std::size_t most) {
  if (text.size() <= most) return text;
  std::size_t end = most;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end) + "...";
}

void Add(const std::vector<schema::Problem>& problems, std::vector<FieldViolation>* out) {
  for (const auto& p : problems) {
    if (p.warning) continue;
    std::string where = p.file;
    if (p.line > 0) where += ":" + std::to_string(p.line);
    if (!p.field.empty()) where += " " + p.field;
    out->push_back({Shorten(where, kMostMessage), Shorten(p.message, kMostMessage)});
  }
}

absl::Status Refuse(const std::string& commit, std::vector<FieldViolation> violations) {
  const std::size_t count = violations.size();
  const FieldViolation& first = violations.front();
  std::string message =
      "No unit can be made from commit " + commit.substr(0, 12) + ": " + first.field + ": " + first.description;
  if (count > 1) message += " (and " + std::to_string(count - 1) + " more)";
  if (count > kMostProblems) violations.resize(kMostProblems);
  return WithViolations(Error(absl::StatusCode::kFailedPrecondition, "INVALID_REPOSITORY", message),
                        std::move(violations));
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
  return Refuse(version.commit(), std::move(violations));
}

}  // namespace pepeunit::graph_registry
