#pragma once

#include <git2.h>

#include <optional>
#include <string>
#include <vector>

#include "pepeunit/schema/schema.h"

// The two files at the top of a repository that Pepeunit reads (R3).
namespace pepeunit::repo_sync {

inline constexpr char kSchemaFile[] = "schema.json";
inline constexpr char kEnvExampleFile[] = "env_example.json";
inline constexpr std::size_t kMostFileBytes = 256u << 10;

struct VersionFile {
  std::optional<std::string> text;  // absent: missing, not a file, or too large
  bool too_large = false;
};

VersionFile ReadVersionFile(git_repository* repository, git_commit* commit, const char* name);

// What is wrong with both at a commit, at most 100 problems.
std::vector<schema::Problem> CheckVersionFiles(git_repository* repository, git_commit* commit);

}  // namespace pepeunit::repo_sync
