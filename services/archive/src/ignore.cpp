#include "ignore.h"

namespace pepeunit::archive {
namespace {

// The end of the set that begins at `at` with '[', or npos when it is not closed.
std::size_t EndOfSet(std::string_view pattern, std::size_t at) {
  std::size_t i = at + 1;
  if (i < pattern.size() && (pattern[i] == '!' || pattern[i] == '^')) ++i;
  if (i < pattern.size() && pattern[i] == ']') ++i;
  for (; i < pattern.size(); ++i) {
    if (pattern[i] == '\\') {
      ++i;
    } else if (pattern[i] == ']') {
      return i;
    }
  }
  return std::string_view::npos;
}

bool InSet(std::string_view set, char c) {
  bool negated = false, found = false;
  std::size_t i = 0;
  if (!set.empty() && (set[0] == '!' || set[0] == '^')) negated = true, ++i;
  const auto next = [&] {
    if (set[i] == '\\' && i + 1 < set.size()) ++i;
    return static_cast<unsigned char>(set[i++]);
  };
  const auto byte = static_cast<unsigned char>(c);
  while (i < set.size()) {
    const unsigned char low = next();
    unsigned char high = low;
    if (i + 1 < set.size() && set[i] == '-') {
      ++i;
      high = next();
    }
    found = found || (low <= byte && byte <= high);
  }
  return found != negated;
}

// One step of the pattern at `p` on one character: how many bytes of the pattern it takes; 0 when it does not match.
std::size_t MatchOne(std::string_view pattern, std::size_t p, char c) {
  switch (pattern[p]) {
    case '?':
      return c == '/' ? 0 : 1;
    case '[': {
      const std::size_t end = EndOfSet(pattern, p);
      if (end == std::string_view::npos) return 0;
      return c != '/' && InSet(pattern.substr(p + 1, end - p - 1), c) ? end - p + 1 : 0;
    }
    case '\\':
      if (p + 1 < pattern.size()) return pattern[p + 1] == c ? 2 : 0;
      return 0;
    default:
      return pattern[p] == c ? 1 : 0;
  }
}

// Whether the whole text matches. `reached[t]`: the pattern so far can end before byte t. Time and memory are the
// product of the lengths, whatever the pattern is.
bool Matches(std::string_view pattern, std::string_view text) {
  std::vector<char> reached(text.size() + 1, 0);
  reached[0] = 1;
  for (std::size_t p = 0; p < pattern.size();) {
    std::vector<char> after(text.size() + 1, 0);
    const std::string_view rest = pattern.substr(p);
    const bool at_begin = p == 0 || pattern[p - 1] == '/';
    std::size_t step = 1;
    if (at_begin && rest.starts_with("**/")) {  // no folder, or some
      step = 3;
      bool open = false;
      for (std::size_t t = 0; t <= text.size(); ++t) {
        open = open || reached[t];
        after[t] = reached[t] || (open && t > 0 && text[t - 1] == '/');
      }
    } else if (at_begin && rest == "**") {  // all that is inside
      step = 2;
      bool open = false;
      for (std::size_t t = 0; t <= text.size(); ++t) {
        after[t] = open;
        open = open || reached[t];
      }
      if (p == 0) after[0] = 1;
    } else if (rest[0] == '*') {
      while (step < rest.size() && rest[step] == '*') ++step;
      bool open = false;
      for (std::size_t t = 0; t <= text.size(); ++t) {
        if (t > 0 && text[t - 1] == '/') open = false;
        open = open || reached[t];
        after[t] = open;
      }
    } else {
      step = rest[0] == '\\' ? 2 : rest[0] == '[' ? EndOfSet(pattern, p) - p + 1 : 1;
      if (rest[0] == '[' && EndOfSet(pattern, p) == std::string_view::npos) return false;
      for (std::size_t t = 0; t < text.size(); ++t) {
        if (reached[t] && MatchOne(pattern, p, text[t]) > 0) after[t + 1] = 1;
      }
    }
    reached = std::move(after);
    p += step;
  }
  return reached[text.size()];
}

}  // namespace

Ignore::Ignore(std::string_view text) {
  if (text.size() > kMostBytes) text = text.substr(0, text.rfind('\n', kMostBytes));
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  while (!text.empty() && patterns_.size() < kMostPatterns) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.starts_with('#')) continue;
    while (line.ends_with(' ') && !line.ends_with("\\ ")) line.remove_suffix(1);
    Pattern pattern;
    if (line.starts_with('!')) pattern.negated = true, line.remove_prefix(1);
    if (line.ends_with('/')) pattern.folders_only = true, line.remove_suffix(1);
    pattern.anchored = line.find('/') != std::string_view::npos;
    if (line.starts_with('/')) line.remove_prefix(1);
    if (line.empty()) continue;
    pattern.text = line;
    patterns_.push_back(std::move(pattern));
  }
}

bool Ignore::Decide(std::string_view path, bool folder) const {
  const std::size_t slash = path.rfind('/');
  const std::string_view name = slash == std::string_view::npos ? path : path.substr(slash + 1);
  for (auto pattern = patterns_.rbegin(); pattern != patterns_.rend(); ++pattern) {
    if (pattern->folders_only && !folder) continue;
    if (Matches(pattern->text, pattern->anchored ? path : name)) return !pattern->negated;
  }
  return false;
}

bool Ignore::Leaves(std::string_view path) const {
  for (std::size_t slash = path.find('/'); slash != std::string_view::npos; slash = path.find('/', slash + 1)) {
    if (Decide(path.substr(0, slash), true)) return true;
  }
  return Decide(path, false);
}

}  // namespace pepeunit::archive
