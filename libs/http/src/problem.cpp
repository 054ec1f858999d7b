#include "pepeunit/http/problem.h"

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <string>

#include "pepeunit/base/errors.h"

namespace pepeunit::http {
namespace {

// A title says what kind of problem it is, the same for all of its kind (RFC 9457, section 3.1.3).
const char* TitleOf(int status) {
  switch (status) {
    case 400:
      return "The request is not valid";
    case 401:
      return "Sign in first";
    case 403:
      return "Not allowed";
    case 404:
      return "Not found";
    case 405:
      return "Not this method";
    case 406:
      return "Not acceptable";
    case 408:
      return "The request took too long";
    case 409:
      return "It conflicts with what is there";
    case 412:
      return "It has changed since";
    case 413:
      return "The body is too large";
    case 415:
      return "Not this media type";
    case 422:
      return "The content is not valid";
    case 429:
      return "Too many requests";
    case 431:
      return "The headers are too large";
    case 499:
      return "The caller went away";
    case 501:
      return "Not supported";
    case 503:
      return "Not available now";
    case 504:
      return "It took too long";
    default:
      return "Something went wrong here";
  }
}

// INVALID_FIELD -> invalid-field
std::string TypeOf(const std::string& reason) {
  if (reason.empty()) return "about:blank";
  std::string type = reason;
  std::transform(type.begin(), type.end(), type.begin(),
                 [](unsigned char c) { return c == '_' ? '-' : static_cast<char>(std::tolower(c)); });
  return "https://pepeunit.dev/problems/" + type;
}

}  // namespace

int HttpStatusOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return 200;
    case absl::StatusCode::kCancelled:
      return 499;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
      return 400;
    case absl::StatusCode::kFailedPrecondition:
      return InfoOf(status).reason == "VERSION_MISMATCH" ? 412 : 409;
    case absl::StatusCode::kDeadlineExceeded:
      return 504;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kAborted:
      return 409;
    case absl::StatusCode::kPermissionDenied:
      return 403;
    case absl::StatusCode::kUnauthenticated:
      return 401;
    case absl::StatusCode::kResourceExhausted:
      return 429;
    case absl::StatusCode::kUnimplemented:
      return 501;
    case absl::StatusCode::kUnavailable:
      return 503;
    default:
      return 500;
  }
}

Response Problem(const absl::Status& status, std::string_view instance, const TraceContext& trace, int http_status) {
  const ErrorInfo info = InfoOf(status);
  Response response;
  response.status = http_status != 0 ? http_status : HttpStatusOf(status);
  response.content_type = "application/problem+json";
  nlohmann::ordered_json body = {{"type", TypeOf(info.reason)},
                                 {"title", TitleOf(response.status)},
                                 {"status", response.status},
                                 {"detail", std::string(status.message())}};
  if (!info.reason.empty()) body["reason"] = info.reason;
  body["instance"] = std::string(instance);
  if (trace.valid()) body["trace_id"] = trace.TraceIdHex();
  for (const auto& violation : info.violations) {
    body["errors"].push_back({{"field", violation.field}, {"detail", violation.description}});
  }
  response.body = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  if (info.retry_after_ms > 0) {
    response.headers.emplace_back("Retry-After", std::to_string((info.retry_after_ms + 999) / 1000));
  }
  if (response.status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
  return response;
}

}  // namespace pepeunit::http
