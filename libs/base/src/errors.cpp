#include "pepeunit/base/errors.h"

#include <nlohmann/json.hpp>

#include "absl/strings/cord.h"

namespace pepeunit {
namespace {

constexpr char kPayload[] = "pepeunit.dev/error-info";

ErrorInfo Read(const absl::Status& status) {
  ErrorInfo info;
  const auto payload = status.GetPayload(kPayload);
  if (!payload) return info;
  const auto json = nlohmann::json::parse(std::string(*payload), nullptr, false);
  if (!json.is_object()) return info;
  info.reason = json.value("reason", "");
  info.retry_after_ms = json.value("retry_after_ms", std::int64_t{0});
  for (const auto& v : json.value("violations", nlohmann::json::array())) {
    info.violations.push_back({v.value("field", ""), v.value("description", "")});
  }
  return info;
}

void Attach(absl::Status* status, const ErrorInfo& info) {
  nlohmann::json json = {{"reason", info.reason}};
  if (info.retry_after_ms > 0) json["retry_after_ms"] = info.retry_after_ms;
  for (const auto& v : info.violations) {
    json["violations"].push_back({{"field", v.field}, {"description", v.description}});
  }
  // Replaces what is not UTF-8 instead of throwing: the text may quote a caller's bytes.
  status->SetPayload(kPayload, absl::Cord(json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)));
}

}  // namespace

absl::Status Error(absl::StatusCode code, const std::string& reason, const std::string& message) {
  absl::Status status(code, message);
  Attach(&status, {.reason = reason, .violations = {}});
  return status;
}

absl::Status WithViolations(absl::Status status, std::vector<FieldViolation> violations) {
  ErrorInfo info = Read(status);
  info.violations = std::move(violations);
  Attach(&status, info);
  return status;
}

absl::Status WithRetryAfter(absl::Status status, std::int64_t retry_after_ms) {
  ErrorInfo info = Read(status);
  info.retry_after_ms = retry_after_ms;
  Attach(&status, info);
  return status;
}

ErrorInfo InfoOf(const absl::Status& status) { return Read(status); }

absl::Status InvalidField(const std::string& field, const std::string& description) {
  return InvalidFields({{field, description}});
}

absl::Status InvalidFields(std::vector<FieldViolation> violations) {
  std::string message;
  for (const auto& v : violations) {
    if (!message.empty()) message += "; ";
    message += v.field + ": " + v.description;
  }
  return WithViolations(Error(absl::StatusCode::kInvalidArgument, "INVALID_FIELD", message), std::move(violations));
}

absl::Status InvalidCursor() {
  return WithViolations(
      Error(absl::StatusCode::kInvalidArgument, "INVALID_CURSOR",
            "The cursor was not made by this list, or the filter has changed. Begin again without it."),
      {{"cursor", "not a cursor of this list"}});
}

absl::Status NotFound(const std::string& what) {
  return Error(absl::StatusCode::kNotFound, "NOT_FOUND", "There is no such " + what + ".");
}

absl::Status Forbidden(const std::string& message) {
  return Error(absl::StatusCode::kPermissionDenied, "FORBIDDEN", message);
}

absl::Status Unauthenticated(const std::string& message) {
  return Error(absl::StatusCode::kUnauthenticated, "UNAUTHENTICATED", message);
}

absl::Status Unavailable(const std::string& message, std::int64_t retry_after_ms) {
  return WithRetryAfter(Error(absl::StatusCode::kUnavailable, "UNAVAILABLE", message), retry_after_ms);
}

absl::Status Limit(const std::string& message, std::int64_t retry_after_ms) {
  return WithRetryAfter(Error(absl::StatusCode::kResourceExhausted, "LIMIT", message), retry_after_ms);
}

absl::Status Internal(const std::string& message) { return Error(absl::StatusCode::kInternal, "INTERNAL", message); }

}  // namespace pepeunit
