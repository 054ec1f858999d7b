#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace pepeunit::gateway {

// Field paths and their decoded values, in the order of the template.
using Captures = std::vector<std::pair<std::string, std::string>>;

// The part of google.api.http's path templates that the API uses: literal segments, `{field}` for one segment, and a
// custom verb at the end (`/api/v1/repo-units/{id}:sync`). Immutable.
class PathTemplate {
 public:
  static absl::StatusOr<PathTemplate> Parse(const std::string& text);

  // `path` as sent, percent-encoded. A ':' that is not percent-encoded begins a verb in the last segment, so an id
  // never swallows one.
  std::optional<Captures> Match(std::string_view path) const;

  const std::string& text() const { return text_; }
  std::vector<std::string> Fields() const;
  // Sorts templates so that the first to match is the most literal one.
  bool IsMoreLiteralThan(const PathTemplate& other) const;

 private:
  struct Segment {
    bool capture = false;
    std::string text;  // the literal, or the field's path
  };

  std::string text_, verb_;
  std::vector<Segment> segments_;
};

}  // namespace pepeunit::gateway
