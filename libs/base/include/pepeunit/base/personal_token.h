#pragma once

#include <string>
#include <string_view>

// The text of a personal access token, of an invitation, and of a secret for a new password: a prefix, 32 random bytes
// in base64url, and the CRC-32 of all that (as in zlib, highest byte first) in base64url, 6 characters. The check sum
// is no secret: with it a scanner for leaked secrets, and whoever is shown a made-up one, can tell without asking.
namespace pepeunit {

inline constexpr std::string_view kPersonalTokenPrefix = "pepeunit_pat_";
inline constexpr std::string_view kInvitationPrefix = "pepeunit_inv_";
inline constexpr std::string_view kResetPrefix = "pepeunit_rst_";

std::string NewSecretText(std::string_view prefix);
// Whether `text` has that form with this prefix, and its check sum holds.
bool IsSecretText(std::string_view prefix, std::string_view text);

inline std::string NewPersonalToken() { return NewSecretText(kPersonalTokenPrefix); }
inline bool IsPersonalToken(std::string_view text) { return IsSecretText(kPersonalTokenPrefix, text); }

}  // namespace pepeunit
