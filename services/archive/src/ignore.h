#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pepeunit::archive {

// Which files a `.pepeignore` leaves out, by the rules of gitignore (https://git-scm.com/docs/gitignore): comments,
// `!`, a slash at the begin, in the middle or at the end, `*`, `?`, `[...]`, `**`, and that nothing below a folder that
// is left out comes back. The last pattern that matches decides. Pure; thread-safe once made.
class Ignore {
 public:
  static constexpr std::size_t kMostBytes = 64 * 1024, kMostPatterns = 1'000;

  // What is beyond the bounds is not looked at.
  explicit Ignore(std::string_view text);
  // `path` is a file's, relative, with '/'.
  bool Leaves(std::string_view path) const;

 private:
  struct Pattern {
    std::string text;
    bool negated = false, folders_only = false, anchored = false;
  };
  bool Decide(std::string_view path, bool folder) const;

  std::vector<Pattern> patterns_;
};

}  // namespace pepeunit::archive
