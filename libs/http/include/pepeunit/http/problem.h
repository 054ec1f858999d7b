#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "pepeunit/base/trace.h"
#include "pepeunit/http/server.h"

namespace pepeunit::http {

// The HTTP status of a gRPC code, as google.rpc.Code documents it, with 413 and 429 where our reason says LIMIT.
int HttpStatusOf(const absl::Status& status);

// An error as application/problem+json (RFC 9457):
//   {"type": "https://pepeunit.dev/problems/invalid-field", "title": "...", "status": 400, "detail": "...",
//    "reason": "INVALID_FIELD", "instance": "/api/v1/users", "trace_id": "...", "errors": [{"field": ..., "detail":
//    ...}]}
// with Retry-After in whole seconds when the status says how long to wait. `http_status` 0: by the code.
Response Problem(const absl::Status& status, std::string_view instance, const TraceContext& trace, int http_status = 0);

}  // namespace pepeunit::http
