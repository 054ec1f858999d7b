#include "pepeunit/ssh/public_key.h"

#include <algorithm>

#include "key_parts.h"
#include "pepeunit/base/bytes.h"

namespace pepeunit::ssh {
namespace {

constexpr std::size_t kMostLine = 4096;  // an RSA key of 16384 bits has 2800
constexpr std::size_t kMostComment = 256;

absl::Status BadKey(const std::string& what) { return absl::InvalidArgumentError(what); }

}  // namespace

absl::StatusOr<PublicKey> ParsePublicKey(std::string_view line) {
  if (line.size() > kMostLine) return BadKey("must have at most 4096 characters");
  if (std::any_of(line.begin(), line.end(), [](unsigned char c) { return c < 0x20 || c >= 0x7F; }))
    return BadKey("must be one line of printable ASCII");
  if (line.find("PRIVATE KEY") != line.npos) return BadKey("must be a public key; this is a private one");
  const auto word = [&] {
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    const std::string_view taken = line.substr(0, line.find(' '));
    line.remove_prefix(taken.size());
    return std::string(taken);
  };
  PublicKey key;
  key.type = word();
  const std::string text = word();
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  key.comment = std::string(line.substr(0, kMostComment));
  if (!IsKeyType(key.type)) {
    return BadKey(
        "must begin with ssh-ed25519, ecdsa-sha2-nistp256, ecdsa-sha2-nistp384, ecdsa-sha2-nistp521 or ssh-rsa, as a "
        ".pub file does");
  }
  const auto blob = Base64Decode(text);
  if (!blob || blob->empty()) return BadKey("must have the key in base64 after its type");
  key.blob = *blob;
  const auto parts = ReadKey(key.blob);
  if (!parts || parts->type != key.type) return BadKey("is not a whole key of type " + key.type);
  if (!parts->strong) return BadKey("must have 2048 to 16384 bits");
  return key;
}

std::string LineOf(const PublicKey& key) {
  std::string line = key.type + ' ' + Base64Encode(AsBytes(key.blob));
  return key.comment.empty() ? line : line + ' ' + key.comment;
}

std::string FingerprintOf(std::string_view blob) {
  std::string text = Base64Encode(AsBytes(Sha256(AsBytes(blob))));
  while (text.ends_with('=')) text.pop_back();
  return "SHA256:" + text;
}

bool IsFingerprint(std::string_view text) {
  constexpr std::string_view kPrefix = "SHA256:";
  if (!text.starts_with(kPrefix) || text.size() != kPrefix.size() + 43) return false;
  return Base64Decode(std::string(text.substr(kPrefix.size())) + '=').has_value();
}

}  // namespace pepeunit::ssh
