#include "call.h"

#include "pepeunit/http/problem.h"

namespace pepeunit::unit_ingest {

void HttpCall::Answer(const std::shared_ptr<const Profile>& profile, const envelope::Opened& request,
                      const Reply& reply, ReplyText text) {
  http::Response response;
  response.status = reply.status;
  response.content_type = "application/octet-stream";
  envelope::SealAnswer(profile->keys, profile->unit, request.header.sequence, request.tag, text(std::nullopt),
                       &response.body, reply.kind);
  if (reply.retry_after_ms > 0)
    response.headers.emplace_back("Retry-After", std::to_string((reply.retry_after_ms + 999) / 1000));
  http_->Respond(std::move(response));
}

void HttpCall::Refuse(const absl::Status& status, int http_status) {
  auto problem = http::Problem(status, http_->path(), http_->trace(), http_status);
  http_->Respond(std::move(problem));
}

}  // namespace pepeunit::unit_ingest
