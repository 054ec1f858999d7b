#pragma once

#include <nats/nats.h>

#include <memory>

#include "absl/status/status.h"
#include "pepeunit/base/errors.h"

// Ownership of libnats' handles, and its errors as ours.
namespace pepeunit::bus {

inline constexpr std::int64_t kNsPerS = 1'000'000'000;  // libnats counts in nanoseconds

struct NatsDeleter {
  void operator()(natsConnection* p) const { natsConnection_Destroy(p); }
  void operator()(natsOptions* p) const { natsOptions_Destroy(p); }
  void operator()(natsSubscription* p) const { natsSubscription_Destroy(p); }
  void operator()(natsMsg* p) const { natsMsg_Destroy(p); }
  void operator()(jsCtx* p) const { jsCtx_Destroy(p); }
  void operator()(jsStreamInfo* p) const { jsStreamInfo_Destroy(p); }
};
using ConnectionPtr = std::unique_ptr<natsConnection, NatsDeleter>;
using SubscriptionPtr = std::unique_ptr<natsSubscription, NatsDeleter>;
using MsgPtr = std::unique_ptr<natsMsg, NatsDeleter>;
using JsPtr = std::unique_ptr<jsCtx, NatsDeleter>;

// A list of messages from a fetch, destroyed with what was not taken out.
struct MsgList {
  natsMsgList list{};
  MsgList() = default;
  ~MsgList() { natsMsgList_Destroy(&list); }
  MsgList(const MsgList&) = delete;
  MsgList& operator=(const MsgList&) = delete;
};

inline absl::Status ToStatus(natsStatus status, const char* what, int code = 0) {
  if (status == NATS_OK) return absl::OkStatus();
  std::string message = std::string("the bus: ") + what + ": " + natsStatus_GetText(status);
  if (code != 0) message += " (" + std::to_string(code) + ")";
  return Unavailable(message);
}

}  // namespace pepeunit::bus
