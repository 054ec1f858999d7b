#include "file_response.h"

#include <utility>

#include "negotiation.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/base/log.h"
#include "pepeunit/common/v1/types.pb.h"

namespace pepeunit::gateway {
namespace {

using common::v1::FileChunk;
using StreamPtr = std::shared_ptr<BackendStream>;

// Steps follow one another, on gRPC's threads and the connection's, never two at a time.
class FileResponse : public std::enable_shared_from_this<FileResponse> {
 public:
  explicit FileResponse(std::shared_ptr<Reply> reply) : reply_(std::move(reply)) {}

  void OnMessage(const StreamPtr& stream, MessagePtr message) {
    auto& chunk = static_cast<FileChunk&>(*message);
    if (started_) return Write(stream, std::move(*chunk.mutable_data()));
    started_ = true;
    http::Response head;
    head.content_type = chunk.content_type().empty() ? "application/octet-stream" : chunk.content_type();
    head.headers = {{"Content-Disposition", AttachmentNamed(chunk.filename())}, {"Cache-Control", "no-store"}};
    reply_->StartStream(std::move(head),
                        [self = shared_from_this(), stream, data = std::move(*chunk.mutable_data())](bool ok) mutable {
                          if (!ok || self->reply_->request().method() == "HEAD") return stream->Cancel();
                          self->Write(stream, std::move(data));
                        });
  }

  void OnEnd(const absl::Status& status) {
    const TraceScope scope(reply_->request().trace());
    const bool head = reply_->request().method() == "HEAD";
    if (started_) {
      if (!status.ok() && !head) log::Warning("a download broke off", {{"status", status}});
      reply_->exchange().End(status.ok() || head);
    } else {
      reply_->Refuse(status.ok() ? Internal("The file has no content.") : status);
    }
  }

 private:
  void Write(const StreamPtr& stream, std::string data) {
    reply_->exchange().Write(std::move(data), [stream](bool ok) {
      if (ok)
        stream->Next();
      else
        stream->Cancel();
    });
  }

  std::shared_ptr<Reply> reply_;
  bool started_ = false;
};

}  // namespace

void SendFile(Backends& backends, const BackendCall& call, const google::protobuf::Message& request,
              std::shared_ptr<Reply> reply) {
  auto response = std::make_shared<FileResponse>(std::move(reply));
  backends.Stream(
      call, request,
      [response](const StreamPtr& stream, MessagePtr message) { response->OnMessage(stream, std::move(message)); },
      [response](const absl::Status& status) { response->OnEnd(status); });
}

}  // namespace pepeunit::gateway
