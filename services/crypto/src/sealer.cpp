#include "sealer.h"

#include <optional>

#include "gcm.h"
#include "pepeunit/base/errors.h"

namespace pepeunit::crypto {
namespace {

constexpr char kSealFormat = 1;
constexpr std::size_t kSealHeader = 1 + 4;

std::string SealHeader(std::uint32_t key_id) {
  std::string header(1, kSealFormat);
  AppendU32(header, key_id);
  return header;
}

std::uint32_t KeyIdOf(std::string_view sealed) {
  std::uint32_t id = 0;
  for (std::size_t i = 1; i < kSealHeader; ++i) id = id << 8 | static_cast<std::uint8_t>(sealed[i]);
  return id;
}

absl::Status CheckContext(std::string_view context) {
  if (context.empty() || context.size() > Sealer::kMaxContext) {
    return InvalidField("context", "must have 1 to 256 bytes");
  }
  return absl::OkStatus();
}

// One answer for every cause, so that it teaches a forger nothing.
absl::Status NotSealedHere() { return InvalidField("ciphertext", "was not sealed here for this context"); }

}  // namespace

absl::StatusOr<std::string> Sealer::Seal(std::string_view plaintext, std::string_view context) {
  PEPEUNIT_RETURN_IF_ERROR(CheckContext(context));
  if (plaintext.empty() || plaintext.size() > kMaxPlaintext) {
    return InvalidField("plaintext", "must have 1 to 1048576 bytes");
  }
  const DataKeyPtr key = keys_.Active(Purpose::kField);
  if (!key) return Internal("no active key for fields");
  const std::string header = SealHeader(key->id);
  std::string associated = header;
  AppendPrefixed(associated, context);
  return header + GcmSeal(key->secret, associated, plaintext);
}

absl::StatusOr<std::string> Sealer::Open(std::string_view sealed, std::string_view context) {
  PEPEUNIT_RETURN_IF_ERROR(CheckContext(context));
  if (sealed.size() <= kOverhead || sealed.size() > kMaxPlaintext + kOverhead || sealed[0] != kSealFormat) {
    return NotSealedHere();
  }
  const absl::StatusOr<DataKeyPtr> key = keys_.Find(Purpose::kField, KeyIdOf(sealed));
  if (absl::IsNotFound(key.status())) return NotSealedHere();
  if (!key.ok()) return key.status();
  std::string associated = SealHeader((*key)->id);
  AppendPrefixed(associated, context);
  std::optional<std::string> plaintext = GcmOpen((*key)->secret, associated, sealed.substr(kSealHeader));
  if (!plaintext) return NotSealedHere();
  return *std::move(plaintext);
}

}  // namespace pepeunit::crypto
