#include "path_template.h"

#include "pepeunit/http/server.h"

namespace pepeunit::gateway {
namespace {

constexpr std::size_t kMostSegments = 16;

std::string_view CutVerb(std::string_view* path) {
  const auto slash = path->rfind('/');
  const auto colon = path->find(':', slash == std::string_view::npos ? 0 : slash);
  if (colon == std::string_view::npos) return {};
  const std::string_view verb = path->substr(colon + 1);
  *path = path->substr(0, colon);
  return verb;
}

// "/a/b" -> a, b. False unless it begins with '/' and has at most kMostSegments, none of them empty.
bool SplitPath(std::string_view path, std::vector<std::string_view>* segments) {
  while (!path.empty()) {
    if (path.front() != '/' || segments->size() == kMostSegments) return false;
    path.remove_prefix(1);
    const auto end = path.find('/');
    segments->push_back(path.substr(0, end));
    if (segments->back().empty()) return false;
    path = end == std::string_view::npos ? std::string_view() : path.substr(end);
  }
  return !segments->empty();
}

}  // namespace

absl::StatusOr<PathTemplate> PathTemplate::Parse(const std::string& text) {
  PathTemplate parsed;
  parsed.text_ = text;
  std::string_view path = text;
  parsed.verb_ = CutVerb(&path);
  std::vector<std::string_view> segments;
  if (!SplitPath(path, &segments)) return absl::InvalidArgumentError("'" + text + "' is not a path");
  for (std::string_view segment : segments) {
    const bool capture = segment.front() == '{' && segment.back() == '}';
    if (capture) segment = segment.substr(1, segment.size() - 2);
    if (segment.empty() || segment.find_first_of("{}=*") != std::string_view::npos) {
      return absl::InvalidArgumentError("'" + text + "': only whole segments of the form {field} are supported");
    }
    parsed.segments_.push_back({capture, std::string(segment)});
  }
  return parsed;
}

std::optional<Captures> PathTemplate::Match(std::string_view path) const {
  if (CutVerb(&path) != verb_) return std::nullopt;
  std::vector<std::string_view> segments;
  segments.reserve(segments_.size());
  if (!SplitPath(path, &segments) || segments.size() != segments_.size()) return std::nullopt;
  Captures captures;
  std::string decoded;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    if (!http::PercentDecode(segments[i], /*form=*/false, &decoded)) return std::nullopt;
    if (segments_[i].capture) {
      captures.emplace_back(segments_[i].text, decoded);
    } else if (decoded != segments_[i].text) {
      return std::nullopt;
    }
  }
  return captures;
}

std::vector<std::string> PathTemplate::Fields() const {
  std::vector<std::string> fields;
  for (const Segment& segment : segments_) {
    if (segment.capture) fields.push_back(segment.text);
  }
  return fields;
}

bool PathTemplate::IsMoreLiteralThan(const PathTemplate& other) const {
  for (std::size_t i = 0; i < std::min(segments_.size(), other.segments_.size()); ++i) {
    if (segments_[i].capture != other.segments_[i].capture) return !segments_[i].capture;
  }
  return false;
}

}  // namespace pepeunit::gateway
