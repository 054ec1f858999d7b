#include "comments.h"

#include <cctype>
#include <sstream>

namespace pepeunit::gateway {

std::string JoinLines(const std::string& comment) {
  std::string text;
  std::istringstream lines(comment);
  bool paragraph = false;
  for (std::string line; std::getline(lines, line);) {
    const auto from = line.find_first_not_of(" \t");
    if (from == std::string::npos) {
      paragraph = !text.empty();
      continue;
    }
    if (!text.empty()) text += paragraph ? "\n\n" : " ";
    paragraph = false;
    text += line.substr(from, line.find_last_not_of(" \t\r") - from + 1);
  }
  return text;
}

std::string FirstSentence(const std::string& text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool last = i + 1 == text.size() || text[i + 1] == ' ' || text[i + 1] == '\n';
    if ((text[i] == '.' && last) || text[i] == '\n') return text.substr(0, i);
  }
  return text;
}

}  // namespace pepeunit::gateway
