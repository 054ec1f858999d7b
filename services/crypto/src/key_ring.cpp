#include "key_ring.h"

#include <algorithm>
#include <optional>
#include <thread>
#include <utility>

#include "ed25519.h"
#include "gcm.h"
#include "pepeunit/base/backoff.h"
#include "pepeunit/base/bytes.h"
#include "pepeunit/base/clock.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/base/log.h"

namespace pepeunit::crypto {
namespace {

constexpr Purpose kPurposes[] = {Purpose::kField, Purpose::kUnitToken, Purpose::kUnitSignature,
                                 Purpose::kAccessSignature};
// Unknown ids come from outside (the header of a token): they may not become a stream of queries.
constexpr std::int64_t kUnknownIdPauseMs = 1'000;
constexpr std::int64_t kVerificationPauseMs = 60'000;

std::optional<Purpose> ParsePurpose(const std::string& name) {
  for (const Purpose purpose : kPurposes) {
    if (name == PurposeName(purpose)) return purpose;
  }
  return std::nullopt;
}

bool Signs(Purpose purpose) { return purpose == Purpose::kUnitSignature || purpose == Purpose::kAccessSignature; }

Secret NewKey() {
  std::string raw = RandomBytes(kKeyBytes);
  Secret key = MakeSecret(raw);
  Wipe(raw);
  return key;
}

}  // namespace

const char* PurposeName(Purpose purpose) {
  switch (purpose) {
    case Purpose::kField:
      return "field";
    case Purpose::kUnitToken:
      return "unit_token";
    case Purpose::kUnitSignature:
      return "unit_signature";
    case Purpose::kAccessSignature:
      return "access_signature";
  }
  return "";
}

absl::StatusOr<std::unique_ptr<KeyRing>> KeyRing::Open(MasterKey master, KeyStore& store) {
  std::unique_ptr<KeyRing> ring(new KeyRing(std::move(master), store));
  PEPEUNIT_ASSIGN_OR_RETURN(const std::vector<StoredKey> stored, store.Load());
  PEPEUNIT_RETURN_IF_ERROR(ring->CheckMaster(stored));
  PEPEUNIT_RETURN_IF_ERROR(ring->CreateMissing(stored));
  PEPEUNIT_RETURN_IF_ERROR(ring->Load());
  for (const Purpose purpose : kPurposes) {
    if (!ring->Active(purpose)) {
      return absl::FailedPreconditionError(std::string("there is no active data key for ") + PurposeName(purpose));
    }
  }
  ring->reloaded_ms_ = MonotonicMs();
  return ring;
}

absl::StatusOr<std::unique_ptr<KeyRing>> KeyRing::OpenWaiting(const MasterKey& master, KeyStore& store,
                                                              std::chrono::milliseconds give_up) {
  const std::int64_t until = MonotonicMs() + give_up.count();
  Backoff backoff(std::chrono::milliseconds(100), std::chrono::seconds(5));
  while (true) {
    auto ring = Open(master, store);
    if (!absl::IsUnavailable(ring.status()) || MonotonicMs() >= until) return ring;
    log::Warning("the data keys cannot be read yet", {{"status", ring.status()}});
    std::this_thread::sleep_for(backoff.Next());
  }
}

absl::Status KeyRing::CheckMaster(const std::vector<StoredKey>& stored) const {
  for (const StoredKey& key : stored) {
    if (key.master_fingerprint != master_.fingerprint()) {
      return absl::FailedPreconditionError(
          "PEPEUNIT_MASTER_KEY (fingerprint " + master_.fingerprint() +
          ") is not the key that the stored data keys were wrapped with (fingerprint " + key.master_fingerprint +
          "). Give this service the master key of this database; without it the encrypted fields cannot be read.");
    }
  }
  return absl::OkStatus();
}

absl::Status KeyRing::CreateMissing(const std::vector<StoredKey>& stored) {
  for (const Purpose purpose : kPurposes) {
    const std::string name = PurposeName(purpose);
    if (std::any_of(stored.begin(), stored.end(), [&](const auto& key) { return key.active && key.purpose == name; })) {
      continue;
    }
    PEPEUNIT_RETURN_IF_ERROR(store_.CreateIfMissing(name, [&](std::uint32_t id) {
      return StoredKey{.id = id,
                       .purpose = name,
                       .wrapped = master_.Wrap(id, name, NewKey()),
                       .master_fingerprint = master_.fingerprint(),
                       .active = true};
    }));
  }
  return absl::OkStatus();
}

absl::Status KeyRing::Load() {
  PEPEUNIT_ASSIGN_OR_RETURN(const std::vector<StoredKey> stored, store_.Load());
  PEPEUNIT_RETURN_IF_ERROR(CheckMaster(stored));
  std::map<std::uint32_t, DataKeyPtr> keys;
  for (const StoredKey& row : stored) {
    const std::optional<Purpose> purpose = ParsePurpose(row.purpose);
    if (!purpose) continue;  // of a later version of this service
    std::optional<Secret> secret = master_.Unwrap(row.id, row.purpose, row.wrapped);
    if (!secret || secret->size() != kKeyBytes) {
      return absl::FailedPreconditionError("data key " + std::to_string(row.id) +
                                           " is damaged: the right master key does not open it");
    }
    auto key = std::make_shared<DataKey>();
    key->id = row.id;
    key->purpose = *purpose;
    key->active = row.active;
    key->secret = *std::move(secret);
    if (Signs(*purpose)) key->public_key = Ed25519PublicKey(key->secret);
    keys.emplace(row.id, std::move(key));
  }
  const std::unique_lock lock(mutex_);
  keys_ = std::move(keys);
  return absl::OkStatus();
}

absl::Status KeyRing::Reload(std::int64_t pause_ms) {
  const std::lock_guard lock(reload_mutex_);
  const std::int64_t now = MonotonicMs();
  if (now - reloaded_ms_ < pause_ms) return reload_status_;
  reload_status_ = Load();
  reloaded_ms_ = MonotonicMs();
  return reload_status_;
}

DataKeyPtr KeyRing::InMemory(Purpose purpose, std::uint32_t id) const {
  const std::shared_lock lock(mutex_);
  const auto found = keys_.find(id);
  return found != keys_.end() && found->second->purpose == purpose ? found->second : nullptr;
}

DataKeyPtr KeyRing::Active(Purpose purpose) const {
  const std::shared_lock lock(mutex_);
  for (const auto& [id, key] : keys_) {
    if (key->active && key->purpose == purpose) return key;
  }
  return nullptr;
}

absl::StatusOr<DataKeyPtr> KeyRing::Find(Purpose purpose, std::uint32_t id) {
  if (DataKeyPtr key = InMemory(purpose, id)) return key;
  PEPEUNIT_RETURN_IF_ERROR(Reload(kUnknownIdPauseMs));
  if (DataKeyPtr key = InMemory(purpose, id)) return key;
  return NotFound("data key");
}

std::vector<DataKeyPtr> KeyRing::All(Purpose purpose) {
  Reload(kVerificationPauseMs).IgnoreError();
  std::vector<DataKeyPtr> found;
  const std::shared_lock lock(mutex_);
  for (const auto& [id, key] : keys_) {
    if (key->purpose == purpose) found.push_back(key);
  }
  std::reverse(found.begin(), found.end());
  return found;
}

}  // namespace pepeunit::crypto
