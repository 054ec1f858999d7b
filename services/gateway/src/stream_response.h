#pragma once

#include <memory>
#include <optional>
#include <string>

#include "backends.h"
#include "reply.h"

namespace pepeunit::gateway {

// A stream of messages as one body, each piece when the one before is on its way, so that a slow caller slows the
// service. An error before the first piece is a problem document. A caller who goes away ends the call. Steps follow
// one another, on gRPC's threads and the connection's, never two at a time.
class StreamResponse : public std::enable_shared_from_this<StreamResponse> {
 public:
  virtual ~StreamResponse() = default;

  // Makes the call; the response lives until its end.
  void Begin(Backends& backends, const BackendCall& call, const google::protobuf::Message& request);

 protected:
  explicit StreamResponse(std::shared_ptr<Reply> reply) : reply_(std::move(reply)) {}

  // Answers by itself instead of a body, when the first message says so.
  virtual bool Answer(const google::protobuf::Message& first) { return (void)first, false; }
  // Of the answer, from the first message.
  virtual http::Response Head(const google::protobuf::Message& first) = 0;
  // What a message adds to the body; it may take the message apart.
  virtual absl::StatusOr<std::string> PieceOf(google::protobuf::Message& message) = 0;
  // After the last piece of a body that was begun.
  virtual void End(const absl::Status& status) = 0;
  // When there was no message at all.
  virtual absl::Status Nothing() const = 0;
  // A caller who goes away while nothing is sent ends the call at once, not with the next message.
  virtual bool waits() const { return false; }

  Reply& reply() { return *reply_; }
  bool is_head() const { return reply_->request().method() == "HEAD"; }

 private:
  using StreamPtr = std::shared_ptr<BackendStream>;
  void OnMessage(const StreamPtr& stream, MessagePtr message);
  void OnEnd(const absl::Status& status);
  void Write(const StreamPtr& stream, std::string data);

  std::shared_ptr<Reply> reply_;
  bool started_ = false, answered_ = false;
  absl::Status broken_;
};

}  // namespace pepeunit::gateway
