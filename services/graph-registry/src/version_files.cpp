#include "version_files.h"

#include <utility>

#include "pepeunit/base/errors.h"

namespace pepeunit::graph_registry {
namespace {

// Errors travel in headers, which gRPC bounds to 8 KiB: the first problems are enough to begin mending.
constexpr std::size_t kMostProblems = 12;
constexpr std::size_t kMostMessage = 160;

using Problems = std::vector<schema::Problem>;

// Both files, as far as they can be read, and what refuses a unit.
Problems Read(const repo::v1::ResolveVersionResponse& version, VersionFiles* files) {
  Problems problems;
  const auto add = [&](const Problems& found) {
    for (const auto& problem : found) {
      if (!problem.warning) problems.push_back(problem);
    }
  };
  const auto missing = [](const char* file, bool too_large) {
    const char* why = too_large ? "is larger than 256 KiB" : "is missing at the root of the repository";
    return Problems{{file, 0, "", why, false}};
  };
  auto schema = schema::ParseSchema(version.schema_json());
  add(version.has_schema_json() ? schema.problems : missing("schema.json", version.schema_json_too_large()));
  files->schema = std::move(schema.schema);
  auto env = schema::ParseEnvExample(version.env_example_json());
  add(version.has_env_example_json() ? env.problems
                                     : missing("env_example.json", version.env_example_json_too_large()));
  files->env = std::move(env.env);
  return problems;
}

FieldViolation ViolationOf(const schema::Problem& problem) {
  std::string where = problem.file;
  if (problem.line > 0) where += ":" + std::to_string(problem.line);
  if (!problem.field.empty()) where += " " + problem.field;
  return {Shorten(where, kMostMessage), Shorten(problem.message, kMostMessage)};
}

absl::Status Refuse(const std::string& commit, const Problems& problems) {
  std::vector<FieldViolation> violations;
  for (const auto& problem : problems) {
    if (violations.size() < kMostProblems) violations.push_back(ViolationOf(problem));
  }
  const FieldViolation& first = violations.front();
  std::string message =
      "No unit can be made from commit " + commit.substr(0, 12) + ": " + first.field + ": " + first.description;
  if (problems.size() > 1) message += " (and " + std::to_string(problems.size() - 1) + " more)";
  return WithViolations(Error(absl::StatusCode::kFailedPrecondition, "INVALID_REPOSITORY", message),
                        std::move(violations));
}

absl::Status RefuseUnsigned(const repo::v1::ResolveVersionResponse& version) {
  const std::string& why = version.signature().problem();
  return Error(absl::StatusCode::kFailedPrecondition, "UNSIGNED_VERSION",
               "The repository asks for versions that one of its `signing_keys` has signed, and commit " +
                   version.commit().substr(0, 12) + " " + (why.empty() ? "is not signed" : why) +
                   ": sign the commit, or an annotated tag of it, with an SSH key of the list.");
}

}  // namespace

std::string Shorten(const std::string& text, std::size_t most) {
  if (text.size() <= most) return text;
  std::size_t end = most;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end) + "...";
}

absl::StatusOr<VersionFiles> ReadVersionFiles(const repo::v1::ResolveVersionResponse& version) {
  if (version.has_signature() && version.signature().signed_by().empty()) return RefuseUnsigned(version);
  VersionFiles files;
  const Problems problems = Read(version, &files);
  if (!problems.empty()) return Refuse(version.commit(), problems);
  return files;
}

std::vector<common::v1::FileProblem> FirstProblems(const repo::v1::ResolveVersionResponse& version) {
  VersionFiles files;
  std::vector<common::v1::FileProblem> first;
  for (const auto& problem : Read(version, &files)) {
    if (first.size() == kMostProblems) break;
    auto& told = first.emplace_back();
    told.set_file(problem.file);
    told.set_line(static_cast<std::uint32_t>(problem.line));
    told.set_field(Shorten(problem.field, kMostMessage));
    told.set_message(Shorten(problem.message, kMostMessage));
  }
  return first;
}

}  // namespace pepeunit::graph_registry
