#include "pepeunit/envelope/envelope.h"

#include <cryptopp/aes.h>
#include <cryptopp/hmac.h>
#include <cryptopp/modes.h>
#include <cryptopp/sha.h>

#include <algorithm>
#include <cstring>

#include "iv_source.h"
#include "pepeunit/base/errors.h"

namespace pepeunit::envelope {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kBlockBytes = 16;
constexpr std::size_t kSmallestBytes = kOverheadBytes + kBlockBytes;  // an empty plaintext is one block of padding
constexpr std::size_t kKindOffset = 3, kUnitOffset = 4, kSequenceOffset = 20, kIvOffset = kHeaderBytes;
constexpr std::size_t kCiphertextOffset = kHeaderBytes + kIvBytes;

// Crypto++ objects own memory; one of each per thread is keyed anew for every envelope.
struct Ciphers {
  CryptoPP::HMAC<CryptoPP::SHA256> hmac;
  CryptoPP::CBC_Mode<CryptoPP::AES>::Encryption encryption;
  CryptoPP::CBC_Mode<CryptoPP::AES>::Decryption decryption;
};

Ciphers& ThreadCiphers() {
  thread_local Ciphers ciphers;
  return ciphers;
}

Tag Authenticate(const std::array<std::uint8_t, 32>& key, ByteView message, ByteView request_tag) {
  auto& hmac = ThreadCiphers().hmac;
  hmac.SetKey(key.data(), key.size());
  hmac.Update(message.data(), message.size());
  if (!request_tag.empty()) hmac.Update(request_tag.data(), request_tag.size());
  Tag tag;
  hmac.Final(tag.data());
  return tag;
}

std::array<std::uint8_t, 32> Expand(ByteView key, std::string_view label) {
  CryptoPP::HMAC<CryptoPP::SHA256> hmac(key.data(), key.size());
  constexpr std::string_view kPrefix = "pepeunit v1 ";
  const ByteView prefix = AsBytes(kPrefix), info = AsBytes(label);
  hmac.Update(prefix.data(), prefix.size());
  hmac.Update(info.data(), info.size());
  const std::uint8_t counter = 1;
  hmac.Update(&counter, 1);
  std::array<std::uint8_t, 32> out;
  hmac.Final(out.data());
  return out;
}

absl::Status Bad(const char* message) { return Error(absl::StatusCode::kInvalidArgument, "BAD_ENVELOPE", message); }

absl::StatusOr<Opened> Open(Kind kind, const std::array<std::uint8_t, 32>& encrypt,
                            const std::array<std::uint8_t, 32>& authenticate, ByteView request_tag, ByteView envelope) {
  PEPEUNIT_ASSIGN_OR_RETURN(const Header header, Peek(envelope));
  if (header.kind != kind) return Bad("The envelope is of another kind.");
  const std::size_t tagged = envelope.size() - kTagBytes;
  Opened opened{header, {}, {}};
  opened.tag = Authenticate(authenticate, envelope.first(tagged), request_tag);
  if (!ConstantTimeEqual(opened.tag, envelope.subspan(tagged))) return Bad("The envelope does not verify.");

  const ByteView ciphertext = envelope.subspan(kCiphertextOffset, tagged - kCiphertextOffset);
  opened.plaintext.resize(ciphertext.size());
  auto* plain = reinterpret_cast<std::uint8_t*>(opened.plaintext.data());
  auto& cipher = ThreadCiphers().decryption;
  cipher.SetKeyWithIV(encrypt.data(), encrypt.size(), envelope.data() + kIvOffset, kIvBytes);
  cipher.ProcessData(plain, ciphertext.data(), ciphertext.size());

  // The tag has vouched for these bytes: wrong padding is a faulty client, not a probing stranger.
  const std::size_t padding = plain[ciphertext.size() - 1];
  if (padding == 0 || padding > kBlockBytes ||
      !std::all_of(plain + ciphertext.size() - padding, plain + ciphertext.size(),
                   [padding](std::uint8_t byte) { return byte == padding; })) {
    return Bad("The envelope does not verify.");
  }
  opened.plaintext.resize(ciphertext.size() - padding);
  return opened;
}

void Seal(Kind kind, const std::array<std::uint8_t, 32>& encrypt, const std::array<std::uint8_t, 32>& authenticate,
          ByteView request_tag, const Uuid& unit, std::uint64_t sequence, std::string_view plaintext,
          std::string* out) {
  const std::size_t padding = kBlockBytes - plaintext.size() % kBlockBytes;
  const std::size_t tagged = kCiphertextOffset + plaintext.size() + padding;
  out->resize(tagged + kTagBytes);
  auto* bytes = reinterpret_cast<std::uint8_t*>(out->data());
  bytes[0] = 'P';
  bytes[1] = 'U';
  bytes[2] = kVersion;
  bytes[kKindOffset] = static_cast<std::uint8_t>(kind);
  std::copy(unit.bytes.begin(), unit.bytes.end(), bytes + kUnitOffset);
  for (std::size_t i = 0; i < 8; ++i) bytes[kSequenceOffset + i] = static_cast<std::uint8_t>(sequence >> (56 - 8 * i));
  RandomIv(bytes + kIvOffset);

  std::uint8_t* body = bytes + kCiphertextOffset;
  if (!plaintext.empty()) std::memcpy(body, plaintext.data(), plaintext.size());
  std::memset(body + plaintext.size(), static_cast<int>(padding), padding);
  auto& cipher = ThreadCiphers().encryption;
  cipher.SetKeyWithIV(encrypt.data(), encrypt.size(), bytes + kIvOffset, kIvBytes);
  cipher.ProcessData(body, body, plaintext.size() + padding);

  const Tag tag = Authenticate(authenticate, ByteView(bytes, tagged), request_tag);
  std::copy(tag.begin(), tag.end(), bytes + tagged);
}

}  // namespace

Keys Keys::Derive(ByteView sync_encrypt_key) {
  return {Expand(sync_encrypt_key, "request encrypt"), Expand(sync_encrypt_key, "request authenticate"),
          Expand(sync_encrypt_key, "answer encrypt"), Expand(sync_encrypt_key, "answer authenticate")};
}

absl::StatusOr<Header> Peek(ByteView envelope) {
  if (envelope.size() < kSmallestBytes) return Bad("The envelope is cut short.");
  if (envelope[0] != 'P' || envelope[1] != 'U') return Bad("This is not an envelope.");
  if (envelope[2] != kVersion) return Bad("The envelope's version is not known here; this instance speaks version 1.");
  const std::uint8_t kind = envelope[kKindOffset];
  if (kind < static_cast<std::uint8_t>(Kind::kRequest) || kind > static_cast<std::uint8_t>(Kind::kPush)) {
    return Bad("The envelope's kind is not known.");
  }
  if ((envelope.size() - kOverheadBytes) % kBlockBytes != 0)
    return Bad("The envelope's ciphertext is not whole blocks.");
  Header header{static_cast<Kind>(kind), {}, 0};
  std::copy_n(envelope.data() + kUnitOffset, header.unit.bytes.size(), header.unit.bytes.begin());
  for (std::size_t i = 0; i < 8; ++i) header.sequence = header.sequence << 8 | envelope[kSequenceOffset + i];
  return header;
}

Tag TagOf(ByteView envelope) {
  Tag tag{};
  if (envelope.size() >= kTagBytes) std::copy_n(envelope.end() - kTagBytes, kTagBytes, tag.begin());
  return tag;
}

absl::StatusOr<Opened> OpenRequest(const Keys& keys, ByteView envelope, Kind kind) {
  return Open(kind, keys.request_encrypt, keys.request_authenticate, {}, envelope);
}

absl::StatusOr<Opened> OpenAnswer(const Keys& keys, const Tag& request_tag, ByteView envelope, Kind kind) {
  return Open(kind, keys.answer_encrypt, keys.answer_authenticate, request_tag, envelope);
}

void SealRequest(const Keys& keys, const Uuid& unit, std::uint64_t sequence, std::string_view plaintext,
                 std::string* out, Kind kind) {
  Seal(kind, keys.request_encrypt, keys.request_authenticate, {}, unit, sequence, plaintext, out);
}

void SealAnswer(const Keys& keys, const Uuid& unit, std::uint64_t sequence, const Tag& request_tag,
                std::string_view plaintext, std::string* out, Kind kind) {
  Seal(kind, keys.answer_encrypt, keys.answer_authenticate, request_tag, unit, sequence, plaintext, out);
}

}  // namespace pepeunit::envelope
