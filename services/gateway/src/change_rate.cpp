#include "change_rate.h"

#include "pepeunit/base/address.h"
#include "pepeunit/base/errors.h"

namespace pepeunit::gateway {

absl::Status ChangeRate::Take(const rpc::Caller& caller, std::int64_t now_ms) {
  if (caller.administrator) return absl::OkStatus();
  constexpr std::size_t kMostParties = 100'000;
  const std::string party = caller.signed_in() ? caller.user_id.ToString() : AddressGroup(caller.client_address);
  std::lock_guard lock(mutex_);
  if (parties_.size() >= kMostParties && !parties_.contains(party)) {
    std::erase_if(parties_, [&](const auto& entry) { return entry.second.Full(now_ms); });
    if (parties_.size() >= kMostParties) return Limit("Too many change things at once; try again shortly.", 1'000);
  }
  const std::int64_t wait_ms = parties_.try_emplace(party, per_second_, burst_).first->second.Take(now_ms);
  return wait_ms == 0 ? absl::OkStatus()
                      : Limit("You change things faster than this instance takes it; wait.", wait_ms);
}

}  // namespace pepeunit::gateway
