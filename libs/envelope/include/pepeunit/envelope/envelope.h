#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "pepeunit/base/bytes.h"
#include "pepeunit/base/uuid.h"

// The device protocol's binary envelope: AES-256-CBC, then HMAC-SHA256 over everything before the tag. The format, its
// reasons and the test vectors are in PROTOCOL.md beside this library.
namespace pepeunit::envelope {

inline constexpr std::size_t kHeaderBytes = 28;  // "PU", version, kind, unit uuid, sequence
inline constexpr std::size_t kIvBytes = 16;
inline constexpr std::size_t kTagBytes = 32;
inline constexpr std::size_t kOverheadBytes = kHeaderBytes + kIvBytes + kTagBytes;  // plus 1 to 16 of padding
using Tag = std::array<std::uint8_t, kTagBytes>;

enum class Kind : std::uint8_t {
  // Device to instance.
  kRequest = 1,
  kUpdateRequest = 3,
  // Instance to device; their tags also cover the tag of the request.
  kAnswer = 2,
  kUpdateAnswer = 4,
  kFileBytes = 5,
  // What comes unasked over a WebSocket; its tag covers that of the answer that began the pushes, in place of a
  // request's.
  kPush = 6,
};

// The four subkeys of one unit, derived from SYNC_ENCRYPT_KEY (HKDF-Expand, RFC 5869). Cheap to copy; a secret.
struct Keys {
  std::array<std::uint8_t, 32> request_encrypt, request_authenticate, answer_encrypt, answer_authenticate;
  static Keys Derive(ByteView sync_encrypt_key);  // 32 bytes
};

struct Header {
  Kind kind;
  Uuid unit;
  std::uint64_t sequence = 0;
};

// Reads the header without any check of authenticity, to find the unit's keys. INVALID_ARGUMENT (BAD_ENVELOPE) on a
// cut envelope, a wrong magic, version or kind, or a ciphertext that is not whole blocks.
absl::StatusOr<Header> Peek(ByteView envelope);

struct Opened {
  Header header;
  std::string plaintext;
  Tag tag;
};

// Verifies the tag in constant time, then decrypts. INVALID_ARGUMENT (BAD_ENVELOPE) says only that it failed, or that
// the kind is another one.
absl::StatusOr<Opened> OpenRequest(const Keys& keys, ByteView envelope, Kind kind = Kind::kRequest);
absl::StatusOr<Opened> OpenAnswer(const Keys& keys, const Tag& request_tag, ByteView envelope,
                                  Kind kind = Kind::kAnswer);

// Of whole envelopes.
Tag TagOf(ByteView envelope);

// Seals with a random IV. `out` is overwritten, its memory reused.
void SealRequest(const Keys& keys, const Uuid& unit, std::uint64_t sequence, std::string_view plaintext,
                 std::string* out, Kind kind = Kind::kRequest);
void SealAnswer(const Keys& keys, const Uuid& unit, std::uint64_t sequence, const Tag& request_tag,
                std::string_view plaintext, std::string* out, Kind kind = Kind::kAnswer);

}  // namespace pepeunit::envelope
