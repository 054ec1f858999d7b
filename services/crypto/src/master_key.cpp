#include "master_key.h"

#include <cryptopp/hkdf.h>
#include <cryptopp/sha.h>

#include "gcm.h"
#include "pepeunit/base/bytes.h"

namespace pepeunit::crypto {
namespace {

constexpr char kWrapFormat = 1;

Secret Derive(std::string_view master, std::string_view purpose, std::size_t length) {
  Secret derived(length);
  CryptoPP::HKDF<CryptoPP::SHA256>().DeriveKey(
      derived.data(), derived.size(), reinterpret_cast<const CryptoPP::byte*>(master.data()), master.size(), nullptr, 0,
      reinterpret_cast<const CryptoPP::byte*>(purpose.data()), purpose.size());
  return derived;
}

std::string WrapContext(std::uint32_t id, std::string_view purpose) {
  std::string context(1, kWrapFormat);
  AppendU32(context, id);
  AppendPrefixed(context, purpose);
  return context;
}

}  // namespace

absl::StatusOr<MasterKey> MasterKey::FromBase64(std::string& text) {
  std::optional<std::string> raw = Base64Decode(text);
  Wipe(text);
  if (!raw || raw->size() != kKeyBytes) {
    if (raw) Wipe(*raw);
    return absl::InvalidArgumentError(
        "PEPEUNIT_MASTER_KEY must be the base64 text of 32 bytes; make one with: openssl rand -base64 32");
  }
  MasterKey key;
  key.wrapping_ = Derive(*raw, "pepeunit v1 wrap data keys", kKeyBytes);
  key.fingerprint_ = HexEncode(AsBytes(View(Derive(*raw, "pepeunit v1 master key fingerprint", 8))));
  Wipe(*raw);
  return key;
}

std::string MasterKey::Wrap(std::uint32_t id, std::string_view purpose, const Secret& key) const {
  return kWrapFormat + GcmSeal(wrapping_, WrapContext(id, purpose), View(key));
}

std::optional<Secret> MasterKey::Unwrap(std::uint32_t id, std::string_view purpose, std::string_view wrapped) const {
  if (wrapped.empty() || wrapped[0] != kWrapFormat) return std::nullopt;
  std::optional<std::string> raw = GcmOpen(wrapping_, WrapContext(id, purpose), wrapped.substr(1));
  if (!raw) return std::nullopt;
  Secret key = MakeSecret(*raw);
  Wipe(*raw);
  return key;
}

}  // namespace pepeunit::crypto
