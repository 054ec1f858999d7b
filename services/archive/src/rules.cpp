#include "rules.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "pepeunit/base/utf8.h"

namespace pepeunit::archive {
namespace {

constexpr std::size_t kMaxPath = 1024;
constexpr std::size_t kMaxName = 64;

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

std::vector<std::string_view> Components(std::string_view path) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t slash = path.find('/');
    parts.push_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return parts;
    path.remove_prefix(slash + 1);
  }
}

// A ':' would name a drive or a stream on Windows, and a backslash is a separator there.
bool IsSafe(std::string_view path, const std::vector<std::string_view>& components) {
  const bool bad_character = std::any_of(path.begin(), path.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7F || c == '\\' || c == ':';
  });
  if (path.empty() || path.size() > kMaxPath || bad_character || !IsUtf8(path)) return false;
  // An empty component is a leading '/' or a double one.
  return std::none_of(components.begin(), components.end(),
                      [](std::string_view part) { return part.empty() || part == "." || part == ".."; });
}

}  // namespace

Rule RuleFor(std::string_view path) {
  const std::vector<std::string_view> components = Components(path);
  if (!IsSafe(path, components)) return Rule::kUnsafe;
  for (const std::string_view part : components) {
    const std::string name = Lower(part);
    if (name == ".git" || name.find("example") != std::string::npos) return Rule::kDrop;
  }
  if (path == "schema.json") return Rule::kStamp;
  if (Lower(path) == "env.json") return Rule::kReplace;
  return Rule::kKeep;
}

std::string ArchiveName(std::string_view unit_name, const Uuid& unit) {
  std::string name;
  for (const char c : unit_name) {
    const bool safe =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
    const char next = safe ? c : '-';
    const bool repeats = !name.empty() && (next == '-' || next == '.') && (name.back() == '-' || name.back() == '.');
    if (!repeats && name.size() < kMaxName) name += next;
  }
  constexpr std::string_view kEdge = "-.";
  name.erase(0, name.find_first_not_of(kEdge));
  name.erase(name.find_last_not_of(kEdge) + 1);
  if (name.empty()) name = "unit-" + unit.ToString();
  return name;
}

}  // namespace pepeunit::archive
