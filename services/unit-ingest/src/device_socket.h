#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "call.h"
#include "pepeunit/base/uuid.h"
#include "unit_entry.h"

namespace pepeunit::unit_ingest {

struct PushMetrics {
  prometheus::Counter* pushes = nullptr;
  prometheus::Gauge* sockets = nullptr;
};

// A unit's connection over which its inputs are pushed (PROTOCOL.md, "Over a WebSocket"). Pushes begin with the first
// good answer that goes over it; from then on the entry tells it of what changes. While one push is on its way the
// next is gathered, so a slow connection gets the newest values and no more. Thread-safe.
class DeviceSocket final : public std::enable_shared_from_this<DeviceSocket> {
 public:
  DeviceSocket(std::shared_ptr<http::WebSocket> socket, std::shared_ptr<UnitEntry> entry, const TokenFacts& token,
               PushMetrics metrics);
  ~DeviceSocket();

  const std::shared_ptr<UnitEntry>& entry() const { return entry_; }
  const TokenFacts& token() const { return token_; }
  // A message that came over it.
  std::shared_ptr<Call> MakeCall(std::string message);

  void InputChanged(const Uuid& input);
  // The unit changed: nothing is pushed until it is known how.
  void Suspend();
  // With everything that may have been missed; closed when the token that it came with is void by now.
  void Resume(const std::shared_ptr<const Profile>& profile);
  // The unit is gone, or the token is void.
  void Refuse();
  // Another connection has come in its place.
  void GiveWay();
  // The connection has ended.
  void Closed();

 private:
  class SocketCall;

  void Answer(const std::shared_ptr<const Profile>& profile, const envelope::Opened& request, const Reply& reply,
              ReplyText text);
  void RefuseMessage(const absl::Status& status, int http_status, const TraceContext& trace);
  void PushLocked();
  // What the device should know of and has not been told; emptied of that.
  std::string TakeNewsLocked();

  const std::shared_ptr<http::WebSocket> socket_;
  const std::shared_ptr<UnitEntry> entry_;
  const TokenFacts token_;
  const PushMetrics metrics_;

  std::mutex mutex_;  // held while a message is sealed and handed over, so that their order is one
  std::shared_ptr<const Profile> profile_;  // null: suspended, or not begun
  bool begun_ = false, pushing_ = false, closed_ = false;
  envelope::Tag begun_by_{};  // the answer's
  std::uint64_t pushes_ = 0;
  std::set<Uuid> changed_;
  bool offer_news_ = false;
};

}  // namespace pepeunit::unit_ingest
