#include "file_response.h"

#include <utility>

#include "bindings.h"
#include "negotiation.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/base/log.h"
#include "pepeunit/common/v1/types.pb.h"
#include "stream_response.h"

namespace pepeunit::gateway {
namespace {

using common::v1::FileChunk;

std::string Quoted(const std::string& etag) { return '"' + etag + '"'; }

class FileResponse final : public StreamResponse {
 public:
  explicit FileResponse(std::shared_ptr<Reply> reply) : StreamResponse(std::move(reply)) {}

 private:
  bool Answer(const google::protobuf::Message& first) override {
    const auto& chunk = static_cast<const FileChunk&>(first);
    if (!chunk.etag().empty() && NoneMatchNames(reply().request().Header("If-None-Match"), chunk.etag())) {
      reply().Send({.status = 304, .content_type = "", .headers = {{"ETag", Quoted(chunk.etag())}}, .body = ""});
      return true;
    }
    if (!chunk.has_part() || chunk.part().length() > 0) return false;
    const std::string total = std::to_string(chunk.part().total());
    reply().Refuse(Error(absl::StatusCode::kOutOfRange, "INVALID_FIELD", "The file has " + total + " bytes."), 416,
                   {.status = 416, .content_type = "", .headers = {{"Content-Range", "bytes */" + total}}, .body = ""});
    return true;
  }

  http::Response Head(const google::protobuf::Message& first) override {
    const auto& chunk = static_cast<const FileChunk&>(first);
    http::Response head;
    head.content_type = chunk.content_type().empty() ? "application/octet-stream" : chunk.content_type();
    if (!chunk.filename().empty()) head.headers = {{"Content-Disposition", AttachmentNamed(chunk.filename())}};
    if (chunk.etag().empty()) {
      head.headers.emplace_back("Cache-Control", "no-store");
      return head;
    }
    // Whoever has it may keep it to himself, if he asks each time whether it is still the same.
    head.headers.emplace_back("Cache-Control", "private, no-cache");
    head.headers.emplace_back("ETag", Quoted(chunk.etag()));
    head.headers.emplace_back("Accept-Ranges", "bytes");
    if (chunk.has_part()) {
      const auto& part = chunk.part();
      head.status = 206;
      head.headers.emplace_back("Content-Range", "bytes " + std::to_string(part.first()) + '-' +
                                                     std::to_string(part.first() + part.length() - 1) + '/' +
                                                     std::to_string(part.total()));
    }
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

void SetRange(const http::Exchange& headers, google::protobuf::Message* request) {
  const auto asked = RangeOf(headers.Header("Range"));
  const google::protobuf::Descriptor& type = *request->GetDescriptor();
  if (!asked || headers.method() != "GET") return;
  std::string_view if_range = headers.Header("If-Range");
  if (!if_range.empty()) {
    // Of dates and weak tags nobody can say that the file is the same byte for byte.
    if (if_range.size() < 3 || if_range.front() != '"' || if_range.back() != '"') return;
    if_range = if_range.substr(1, if_range.size() - 2);
  }
  for (int i = 0; i < type.field_count(); ++i) {
    if (!IsRange(*type.field(i))) continue;
    auto* range = static_cast<common::v1::FileRange*>(request->GetReflection()->MutableMessage(request, type.field(i)));
    if (asked->first) range->set_first(*asked->first);
    if (asked->last) range->set_last(*asked->last);
    range->set_if_etag(std::string(if_range));
  }
}

bool SetFormat(const http::Exchange& headers, google::protobuf::Message* request) {
  const Formats formats = FormatsOf(*request->GetDescriptor());
  if (formats.field == nullptr || request->GetReflection()->GetEnumValue(*request, formats.field) != 0) return true;
  const Formats::Format* best = nullptr;
  int closest = 0;
  for (const auto& format : formats.formats) {
    const int closeness = Closeness(headers.Header("Accept"), format.media_type);
    if (closeness > closest) closest = closeness, best = &format;
  }
  if (best == nullptr) return false;
  request->GetReflection()->SetEnumValue(request, formats.field, best->value);
  return true;
}

void SendFile(Backends& backends, const BackendCall& call, const google::protobuf::Message& request,
              std::shared_ptr<Reply> reply) {
  std::make_shared<FileResponse>(std::move(reply))->Begin(backends, call, request);
}

}  // namespace pepeunit::gateway
