#include "negotiation.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "pepeunit/base/errors.h"

namespace pepeunit::gateway {
namespace {

constexpr std::size_t kMostTagBytes = 128;
constexpr std::size_t kMostNameBytes = 200;

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::vector<std::string_view> SplitAt(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const auto end = text.find(separator);
    parts.push_back(Trim(text.substr(0, end)));
    if (end == std::string_view::npos) return parts;
    text = text.substr(end + 1);
  }
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return lower;
}

bool IsZeroWeight(std::string_view parameter) {
  const std::string text = Lower(parameter);
  return text.starts_with("q=0") && text.find_first_not_of("0.", 2) == std::string::npos;
}

}  // namespace

bool Accepts(std::string_view accept, std::string_view media_type) { return Closeness(accept, media_type) > 0; }

int Closeness(std::string_view accept, std::string_view media_type) {
  if (Trim(accept).empty()) return 1;
  const std::string any_of_kind = std::string(media_type.substr(0, media_type.find('/'))) + "/*";
  int best = 0;
  bool admitted = false;  // by the most specific range
  for (std::string_view range : SplitAt(accept, ',')) {
    const auto parts = SplitAt(range, ';');
    const std::string type = Lower(parts[0]);
    const int rank = type == media_type ? 3 : type == any_of_kind ? 2 : type == "*/*" ? 1 : 0;
    if (rank == 0 || rank < best) continue;
    best = rank;
    admitted = std::none_of(parts.begin() + 1, parts.end(), IsZeroWeight);
  }
  return admitted ? best : 0;
}

namespace {

bool IsOfType(std::string_view content_type, std::string_view media_type) {
  const auto parts = SplitAt(content_type, ';');
  if (Lower(parts[0]) != media_type) return false;
  return std::all_of(parts.begin() + 1, parts.end(), [](std::string_view parameter) {
    const std::string text = Lower(parameter);
    return !text.starts_with("charset=") || text == "charset=utf-8" || text == "charset=\"utf-8\"";
  });
}

}  // namespace

bool IsJson(std::string_view content_type) { return IsOfType(content_type, "application/json"); }
bool IsForm(std::string_view content_type) { return IsOfType(content_type, "application/x-www-form-urlencoded"); }

absl::StatusOr<std::string> IfMatchTag(std::string_view if_match) {
  const std::string_view tag = Trim(if_match);
  if (tag.empty() || tag == "*") return std::string();
  const bool printable = std::all_of(tag.begin(), tag.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  if (!printable || tag.size() < 3 || tag.size() > kMostTagBytes || tag.front() != '"' || tag.back() != '"' ||
      tag.substr(1, tag.size() - 2).find('"') != std::string_view::npos) {
    return InvalidField("If-Match", "must be one ETag as it was given, in quotes");
  }
  return std::string(tag.substr(1, tag.size() - 2));
}

absl::StatusOr<std::string> IdempotencyKey(std::string_view header) {
  std::string_view key = Trim(header);
  if (header.empty()) return std::string();
  if (key.size() >= 2 && key.front() == '"' && key.back() == '"') key = key.substr(1, key.size() - 2);
  const bool visible = std::all_of(key.begin(), key.end(), [](char c) { return c > 0x20 && c < 0x7f && c != '"'; });
  if (key.empty() || key.size() > 128 || !visible)
    return InvalidField("Idempotency-Key", "must have 1 to 128 visible ASCII characters");
  return std::string(key);
}

bool NoneMatchNames(std::string_view if_none_match, std::string_view tag) {
  if (if_none_match.empty()) return false;
  for (std::string_view each : SplitAt(if_none_match, ',')) {
    if (each == "*") return true;
    if (each.starts_with("W/")) each.remove_prefix(2);
    if (each.size() >= 2 && each.front() == '"' && each.back() == '"' && each.substr(1, each.size() - 2) == tag) {
      return true;
    }
  }
  return false;
}

std::optional<ByteRange> RangeOf(std::string_view range) {
  constexpr std::string_view kUnit = "bytes=";
  range = Trim(range);
  if (!range.starts_with(kUnit)) return std::nullopt;
  range.remove_prefix(kUnit.size());
  const std::size_t dash = range.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  ByteRange bytes;
  const auto read = [](std::string_view text, std::optional<std::int64_t>* out) {
    if (text.empty()) return true;
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size() || text.front() == '-') return false;
    *out = number;
    return true;
  };
  if (!read(range.substr(0, dash), &bytes.first) || !read(range.substr(dash + 1), &bytes.last)) return std::nullopt;
  if (!bytes.first && !bytes.last) return std::nullopt;
  if (bytes.first && bytes.last && *bytes.last < *bytes.first) return std::nullopt;
  return bytes;
}

std::string AttachmentNamed(std::string_view filename) {
  filename = filename.substr(filename.find_last_of("/\\") + 1).substr(0, kMostNameBytes);
  if (filename.empty() || filename == "." || filename == "..") filename = "download";
  std::string plain, exact;
  for (char c : filename) {
    const bool attribute = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                           std::string_view("!#$&+-.^_`|~").find(c) != std::string_view::npos;
    const bool quotable = attribute || std::string_view(" ()[],=@").find(c) != std::string_view::npos;
    plain += quotable ? c : '_';
    if (attribute) {
      exact += c;
    } else {
      static constexpr char kHex[] = "0123456789ABCDEF";
      const auto byte = static_cast<unsigned char>(c);
      exact += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  std::string header = "attachment; filename=\"" + plain + '"';
  if (plain != filename) header += "; filename*=UTF-8''" + exact;
  return header;
}

}  // namespace pepeunit::gateway
