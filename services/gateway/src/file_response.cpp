#include "file_response.h"

#include <utility>

#include "negotiation.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/base/log.h"
#include "pepeunit/common/v1/types.pb.h"
#include "stream_response.h"

namespace pepeunit::gateway {
namespace {

using common::v1::FileChunk;

class FileResponse final : public StreamResponse {
 public:
  explicit FileResponse(std::shared_ptr<Reply> reply) : StreamResponse(std::move(reply)) {}

 private:
  http::Response Head(const google::protobuf::Message& first) override {
    const auto& chunk = static_cast<const FileChunk&>(first);
    http::Response head;
    head.content_type = chunk.content_type().empty() ? "application/octet-stream" : chunk.content_type();
    head.headers = {{"Content-Disposition", AttachmentNamed(chunk.filename())}, {"Cache-Control", "no-store"}};
    return head;
  }

  absl::StatusOr<std::string> PieceOf(google::protobuf::Message& message) override {
    return std::move(*static_cast<FileChunk&>(message).mutable_data());
  }

  void End(const absl::Status& status) override {
    if (!status.ok() && !is_head()) log::Warning("a download broke off", {{"status", status}});
    reply().exchange().End(status.ok() || is_head());
  }

  absl::Status Nothing() const override { return Internal("The file has no content."); }
};

}  // namespace

void SendFile(Backends& backends, const BackendCall& call, const google::protobuf::Message& request,
              std::shared_ptr<Reply> reply) {
  std::make_shared<FileResponse>(std::move(reply))->Begin(backends, call, request);
}

}  // namespace pepeunit::gateway
