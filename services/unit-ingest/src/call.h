#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "pepeunit/base/bytes.h"
#include "pepeunit/base/trace.h"
#include "pepeunit/envelope/envelope.h"
#include "pepeunit/http/server.h"
#include "profile.h"

namespace pepeunit::unit_ingest {

struct Reply {
  int status = 200;
  envelope::Kind kind = envelope::Kind::kAnswer;
  std::int64_t retry_after_ms = 0;
  bool good = false;  // the answer to an exchange, without an error
};

// The text of a reply, given how many messages were pushed before it; nothing where none can be.
using ReplyText = absl::FunctionRef<std::string(std::optional<std::uint64_t> pushes)>;

// A request of a device and the way its answer goes: over HTTP, or over the WebSocket that it came by. Answered once.
// Thread-safe.
class Call {
 public:
  virtual ~Call() = default;
  virtual ByteView sealed() const = 0;  // as it came; until it is answered
  virtual const TraceContext& trace() const = 0;
  // To an authenticated request, sealed with the keys of the profile that it was opened with.
  virtual void Answer(const std::shared_ptr<const Profile>& profile, const envelope::Opened& request,
                      const Reply& reply, ReplyText text) = 0;
  // Not sealed. `http_status` 0: by the code.
  virtual void Refuse(const absl::Status& status, int http_status) = 0;
};

class HttpCall final : public Call {
 public:
  explicit HttpCall(std::shared_ptr<http::Exchange> http) : http_(std::move(http)) {}
  ByteView sealed() const override { return AsBytes(http_->body()); }
  const TraceContext& trace() const override { return http_->trace(); }
  void Answer(const std::shared_ptr<const Profile>& profile, const envelope::Opened& request, const Reply& reply,
              ReplyText text) override;
  void Refuse(const absl::Status& status, int http_status) override;

 private:
  const std::shared_ptr<http::Exchange> http_;
};

}  // namespace pepeunit::unit_ingest
