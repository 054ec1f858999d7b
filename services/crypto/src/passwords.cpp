#include "passwords.h"

#include <cryptopp/scrypt.h>

#include <charconv>
#include <exception>
#include <optional>

#include "pepeunit/base/bytes.h"
#include "pepeunit/base/errors.h"
#include "secret.h"

namespace pepeunit::crypto {
namespace {

constexpr std::size_t kSaltBytes = 16;
constexpr std::size_t kHashBytes = 32;
constexpr std::string_view kScheme = "$scrypt$";

struct ParsedHash {
  ScryptCost cost{};
  std::string salt;
  std::string hash;
};

std::string UnpaddedBase64(std::string_view raw) {
  std::string text = Base64Encode(AsBytes(raw));
  text.erase(text.find_last_not_of('=') + 1);
  return text;
}

std::optional<std::string> FromUnpaddedBase64(std::string_view text) {
  if (text.find('=') != std::string_view::npos) return std::nullopt;
  std::string padded(text);
  padded.append((4 - padded.size() % 4) % 4, '=');
  return Base64Decode(padded);
}

// Takes `name` and the number after it from the front of `text`.
bool TakeNumber(std::string_view& text, std::string_view name, unsigned min, unsigned max, unsigned& value) {
  if (!text.starts_with(name)) return false;
  text.remove_prefix(name.size());
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || value < min || value > max) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

std::optional<ParsedHash> ParseHash(std::string_view text) {
  if (text.size() > Passwords::kMaxHash || !text.starts_with(kScheme)) return std::nullopt;
  text.remove_prefix(kScheme.size());
  ParsedHash parsed;
  // The bounds keep a planted hash from taking more than 64 MiB or seconds.
  if (!TakeNumber(text, "ln=", 10, 16, parsed.cost.ln) || !TakeNumber(text, ",r=", 1, 8, parsed.cost.r) ||
      !TakeNumber(text, ",p=", 1, 4, parsed.cost.p) || !text.starts_with('$')) {
    return std::nullopt;
  }
  text.remove_prefix(1);
  const std::size_t dollar = text.find('$');
  if (dollar == std::string_view::npos) return std::nullopt;
  std::optional<std::string> salt = FromUnpaddedBase64(text.substr(0, dollar));
  std::optional<std::string> hash = FromUnpaddedBase64(text.substr(dollar + 1));
  if (!salt || salt->size() < 8 || !hash || hash->size() < 16 || hash->size() > 64) return std::nullopt;
  parsed.salt = *std::move(salt);
  parsed.hash = *std::move(hash);
  return parsed;
}

class Slot {
 public:
  explicit Slot(std::counting_semaphore<64>& slots) : slots_(slots), held_(slots.try_acquire()) {}
  ~Slot() {
    if (held_) slots_.release();
  }
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;
  bool held() const { return held_; }

 private:
  std::counting_semaphore<64>& slots_;
  bool held_;
};

absl::Status TooManyHashes() { return Limit("Too many passwords are being checked; try again shortly.", 300); }

}  // namespace

absl::StatusOr<std::string> Scrypt(std::string_view password, std::string_view salt, const ScryptCost& cost,
                                   std::size_t length) {
  try {
    Secret derived(length);
    CryptoPP::Scrypt().DeriveKey(derived.data(), derived.size(),
                                 reinterpret_cast<const CryptoPP::byte*>(password.data()), password.size(),
                                 reinterpret_cast<const CryptoPP::byte*>(salt.data()), salt.size(),
                                 CryptoPP::word64{1} << cost.ln, cost.r, cost.p);
    return std::string(View(derived));
  } catch (const std::exception&) {  // bad_alloc, or a parameter that Crypto++ does not take
    return Internal("scrypt failed");
  }
}

absl::StatusOr<std::string> Passwords::Hash(std::string_view password) {
  if (password.empty() || password.size() > kMaxPassword) {
    return InvalidField("password", "must have 1 to 1024 bytes");
  }
  const Slot slot(slots_);
  if (!slot.held()) return TooManyHashes();
  const ScryptCost cost;
  const std::string salt = RandomBytes(kSaltBytes);
  PEPEUNIT_ASSIGN_OR_RETURN(const std::string hash, Scrypt(password, salt, cost, kHashBytes));
  return std::string(kScheme) + "ln=" + std::to_string(cost.ln) + ",r=" + std::to_string(cost.r) +
         ",p=" + std::to_string(cost.p) + '$' + UnpaddedBase64(salt) + '$' + UnpaddedBase64(hash);
}

absl::StatusOr<bool> Passwords::Verify(std::string_view password, std::string_view hash) {
  if (password.size() > kMaxPassword) return InvalidField("password", "must have at most 1024 bytes");
  std::optional<ParsedHash> stored;
  if (!hash.empty() && !(stored = ParseHash(hash))) return InvalidField("hash", "was not made here");
  const Slot slot(slots_);
  if (!slot.held()) return TooManyHashes();
  const bool real = stored.has_value();
  if (!real) stored = ParsedHash{.salt = std::string(kSaltBytes, '\0'), .hash = std::string(kHashBytes, '\0')};
  PEPEUNIT_ASSIGN_OR_RETURN(const std::string computed,
                            Scrypt(password, stored->salt, stored->cost, stored->hash.size()));
  return ConstantTimeEqual(AsBytes(computed), AsBytes(stored->hash)) && real;
}

}  // namespace pepeunit::crypto
