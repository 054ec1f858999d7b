#include "stream_response.h"

#include <utility>

namespace pepeunit::gateway {

void StreamResponse::Begin(Backends& backends, const BackendCall& call, const google::protobuf::Message& request) {
  const auto self = shared_from_this();
  backends.Stream(
      call, request,
      [self](const StreamPtr& stream, MessagePtr message) { self->OnMessage(stream, std::move(message)); },
      [self](const absl::Status& status) { self->OnEnd(status); });
}

void StreamResponse::OnMessage(const StreamPtr& stream, MessagePtr message) {
  std::optional<http::Response> head;
  if (!started_ && Answer(*message)) {
    answered_ = true;
    return stream->Cancel();
  }
  if (!started_) head = Head(*message);
  auto piece = PieceOf(*message);
  if (!piece.ok()) {
    broken_ = piece.status();
    return stream->Cancel();
  }
  if (!head) return Write(stream, *std::move(piece));
  started_ = true;
  // The call may be over before the caller is gone, and then it is let go.
  if (waits()) {
    reply_->exchange().OnGone([weak = std::weak_ptr<BackendStream>(stream)] {
      if (const auto open = weak.lock()) open->Abort();
    });
  }
  reply_->StartStream(*std::move(head), [self = shared_from_this(), stream, data = *std::move(piece)](bool ok) mutable {
    if (!ok || self->is_head()) return stream->Cancel();
    self->Write(stream, std::move(data));
  });
}

void StreamResponse::OnEnd(const absl::Status& status) {
  if (answered_) return;
  const TraceScope scope(reply_->request().trace());
  const absl::Status& why = broken_.ok() ? status : broken_;
  if (started_) return End(why);
  reply_->Refuse(why.ok() ? Nothing() : why);
}

void StreamResponse::Write(const StreamPtr& stream, std::string data) {
  reply_->exchange().Write(std::move(data), [stream](bool ok) {
    if (ok)
      stream->Next();
    else
      stream->Cancel();
  });
}

}  // namespace pepeunit::gateway
