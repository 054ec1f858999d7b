#pragma once

#include <cstddef>
#include <string>
#include <string_view>

// UTF-8 by RFC 3629: no overlong forms, no surrogates. Thread-safe.
namespace pepeunit {

bool IsUtf8(std::string_view text);

// At most `most` characters of it, each byte that is no part of one replaced by U+FFFD.
std::string ToUtf8(std::string_view text, std::size_t most);

}  // namespace pepeunit
