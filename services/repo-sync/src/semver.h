#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Semantic versions, https://semver.org/spec/v2.0.0.html. Pure.
namespace pepeunit::repo_sync {

struct SemanticVersion {
  // Decimal digits without leading zeros; numbers of any length compare right.
  std::string major, minor, patch;
  std::vector<std::string> pre_release;  // identifiers; empty: a release
};

// Of a tag: `1.2.3-rc.1+build`, with or without `v` before it; nullopt for anything else.
std::optional<SemanticVersion> ParseSemanticVersion(std::string_view tag);

// By precedence (section 11): builds do not count.
bool operator<(const SemanticVersion& a, const SemanticVersion& b);

}  // namespace pepeunit::repo_sync
