#pragma once

#include <string>
#include <string_view>

// The text of a personal access token: `pepeunit_pat_`, 32 random bytes in base64url, and the CRC-32 of all that (as in
// zlib, highest byte first) in base64url, 6 characters. The check sum is no secret: with it a scanner for leaked
// secrets, and whoever is shown a made-up token, can tell without asking.
namespace pepeunit {

inline constexpr std::string_view kPersonalTokenPrefix = "pepeunit_pat_";

std::string NewPersonalToken();

// Whether `text` has that form and its check sum holds.
bool IsPersonalToken(std::string_view text);

}  // namespace pepeunit
