#pragma once

#include <cstdio>
#include <stdexcept>
#include <string>

namespace pepeunit {

// What a shell command writes, without line ends behind it; throws when it fails.
inline std::string Output(const std::string& command) {
  std::FILE* pipe = ::popen(command.c_str(), "r");
  std::string text;
  char piece[256];
  while (pipe != nullptr && std::fgets(piece, sizeof piece, pipe) != nullptr) text += piece;
  if (pipe == nullptr || ::pclose(pipe) != 0) throw std::runtime_error("failed: " + command);
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

}  // namespace pepeunit
