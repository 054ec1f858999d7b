#include "semver.h"

#include <algorithm>
#include <compare>

namespace pepeunit::repo_sync {
namespace {

constexpr std::string_view kDigits = "0123456789";
constexpr std::string_view kIdentifier = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-";

bool IsOf(std::string_view text, std::string_view set) {
  return !text.empty() && text.find_first_not_of(set) == std::string_view::npos;
}

bool IsNumber(std::string_view text) { return IsOf(text, kDigits) && (text == "0" || text[0] != '0'); }

std::vector<std::string> Split(std::string_view text) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('.', begin), text.size());
    parts.emplace_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

std::strong_ordering CompareNumbers(const std::string& a, const std::string& b) {
  return a.size() != b.size() ? a.size() <=> b.size() : a.compare(b) <=> 0;
}

std::strong_ordering CompareIdentifiers(const std::string& a, const std::string& b) {
  const bool number_a = IsOf(a, kDigits), number_b = IsOf(b, kDigits);
  if (number_a && number_b) return CompareNumbers(a, b);
  if (number_a != number_b) return number_a ? std::strong_ordering::less : std::strong_ordering::greater;
  return a.compare(b) <=> 0;
}

std::strong_ordering ComparePreReleases(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  if (a.empty() != b.empty()) return a.empty() ? std::strong_ordering::greater : std::strong_ordering::less;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (const auto order = CompareIdentifiers(a[i], b[i]); order != 0) return order;
  }
  return a.size() <=> b.size();
}

}  // namespace

std::optional<SemanticVersion> ParseSemanticVersion(std::string_view tag) {
  if (tag.starts_with('v')) tag.remove_prefix(1);
  if (const std::size_t plus = tag.find('+'); plus != std::string_view::npos) {
    for (const std::string& part : Split(tag.substr(plus + 1))) {
      if (!IsOf(part, kIdentifier)) return std::nullopt;
    }
    tag = tag.substr(0, plus);
  }
  SemanticVersion version;
  if (const std::size_t dash = tag.find('-'); dash != std::string_view::npos) {
    version.pre_release = Split(tag.substr(dash + 1));
    for (const std::string& part : version.pre_release) {
      if (!IsOf(part, kIdentifier) || (IsOf(part, kDigits) && !IsNumber(part))) return std::nullopt;
    }
    tag = tag.substr(0, dash);
  }
  const std::vector<std::string> core = Split(tag);
  if (core.size() != 3 || !std::all_of(core.begin(), core.end(), [](const auto& part) { return IsNumber(part); }))
    return std::nullopt;
  version.major = core[0];
  version.minor = core[1];
  version.patch = core[2];
  return version;
}

bool operator<(const SemanticVersion& a, const SemanticVersion& b) {
  if (const auto order = CompareNumbers(a.major, b.major); order != 0) return order < 0;
  if (const auto order = CompareNumbers(a.minor, b.minor); order != 0) return order < 0;
  if (const auto order = CompareNumbers(a.patch, b.patch); order != 0) return order < 0;
  return ComparePreReleases(a.pre_release, b.pre_release) < 0;
}

}  // namespace pepeunit::repo_sync
