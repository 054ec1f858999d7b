#include "pepeunit/rpc/status.h"

#include <string>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "pepeunit/base/absl_compat.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/base/log.h"

namespace pepeunit::rpc {
namespace {

constexpr char kDomain[] = "pepeunit";

bool IsOurFault(absl::StatusCode code) {
  return code == absl::StatusCode::kInternal || code == absl::StatusCode::kUnknown ||
         code == absl::StatusCode::kDataLoss;
}

}  // namespace

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  std::string message(status.message());
  if (IsOurFault(status.code())) {
    log::Error("internal error", {{"status", status}});
    message = "The instance made a mistake; its logs know more.";
  }
  const ErrorInfo info = InfoOf(status);
  const auto code = static_cast<grpc::StatusCode>(status.code());
  google::rpc::Status details;
  details.set_code(static_cast<int>(code));
  details.set_message(message);
  if (!info.reason.empty()) {
    google::rpc::ErrorInfo reason;
    reason.set_reason(info.reason);
    reason.set_domain(kDomain);
    details.add_details()->PackFrom(reason);
  }
  if (!info.violations.empty()) {
    google::rpc::BadRequest bad;
    for (const auto& violation : info.violations) {
      auto* field = bad.add_field_violations();
      field->set_field(violation.field);
      field->set_description(violation.description);
    }
    details.add_details()->PackFrom(bad);
  }
  if (info.retry_after_ms > 0) {
    google::rpc::RetryInfo retry;
    retry.mutable_retry_delay()->set_seconds(info.retry_after_ms / 1000);
    retry.mutable_retry_delay()->set_nanos(static_cast<int>(info.retry_after_ms % 1000) * 1'000'000);
    details.add_details()->PackFrom(retry);
  }
  return {code, message, details.SerializeAsString()};
}

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  const auto code = static_cast<absl::StatusCode>(status.error_code());
  google::rpc::Status details;
  if (status.error_details().empty() || !details.ParseFromString(status.error_details())) {
    // No answer of a handler of ours: the other side is away, slow, or refused before a handler ran.
    switch (status.error_code()) {
      case grpc::StatusCode::UNAVAILABLE:
      case grpc::StatusCode::DEADLINE_EXCEEDED:
      case grpc::StatusCode::CANCELLED:
        return Unavailable("A part of the instance does not answer; try again shortly.");
      case grpc::StatusCode::RESOURCE_EXHAUSTED:
        return Limit("A message is too large, or too many calls are waiting.");
      default:
        return absl::Status(code, ToAbsl(status.error_message()));
    }
  }
  std::string reason;
  std::vector<FieldViolation> violations;
  std::int64_t retry_ms = 0;
  for (const auto& detail : details.details()) {
    google::rpc::ErrorInfo info;
    google::rpc::BadRequest bad;
    google::rpc::RetryInfo retry;
    if (detail.UnpackTo(&info)) {
      reason = info.reason();
    } else if (detail.UnpackTo(&bad)) {
      for (const auto& field : bad.field_violations()) violations.push_back({field.field(), field.description()});
    } else if (detail.UnpackTo(&retry)) {
      retry_ms = retry.retry_delay().seconds() * 1000 + retry.retry_delay().nanos() / 1'000'000;
    }
  }
  absl::Status result = Error(code, reason, details.message());
  if (!violations.empty()) result = WithViolations(std::move(result), std::move(violations));
  if (retry_ms > 0) result = WithRetryAfter(std::move(result), retry_ms);
  return result;
}

}  // namespace pepeunit::rpc
