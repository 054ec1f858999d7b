#pragma once

#include <string_view>

#include "absl/strings/string_view.h"

// Debian 12 builds abseil with its own string_view: the one place where the two are converted.
namespace pepeunit {

inline absl::string_view ToAbsl(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view ToStd(absl::string_view text) { return {text.data(), text.size()}; }

}  // namespace pepeunit
