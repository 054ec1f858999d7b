#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Errors as callers see them. Inside, an error is an absl::Status; these helpers attach what a caller needs to act on
// it: a reason (pepeunit.common.v1.ErrorReason by its short name, for example "INVALID_FIELD"), the fields at fault
// and the time to wait. libs/rpc carries them over gRPC, libs/http turns them into problem+json.
// Messages are for people and hold no secret and no text of a driver.
namespace pepeunit {

struct FieldViolation {
  std::string field;        // as the caller wrote it, for example `sync_period` or `values[2].temperature`
  std::string description;  // what is wrong and what is allowed
};

struct ErrorInfo {
  std::string reason;                      // empty when none was attached
  std::vector<FieldViolation> violations;  // empty when the error is not about fields
  std::int64_t retry_after_ms = 0;         // 0: not said
};

absl::Status Error(absl::StatusCode code, const std::string& reason, const std::string& message);
absl::Status WithViolations(absl::Status status, std::vector<FieldViolation> violations);
absl::Status WithRetryAfter(absl::Status status, std::int64_t retry_after_ms);
ErrorInfo InfoOf(const absl::Status& status);

// The common ones.
absl::Status InvalidField(const std::string& field, const std::string& description);       // INVALID_ARGUMENT
absl::Status InvalidFields(std::vector<FieldViolation> violations);                        // INVALID_ARGUMENT
absl::Status InvalidCursor();                                                              // INVALID_ARGUMENT
absl::Status NotFound(const std::string& what);                                            // "There is no such <what>."
absl::Status Forbidden(const std::string& message);                                        // PERMISSION_DENIED
absl::Status Unauthenticated(const std::string& message);                                  // UNAUTHENTICATED
absl::Status Unavailable(const std::string& message, std::int64_t retry_after_ms = 1000);  // UNAVAILABLE
absl::Status Limit(const std::string& message, std::int64_t retry_after_ms = 1000);        // RESOURCE_EXHAUSTED
absl::Status Internal(const std::string& message);                                         // INTERNAL

}  // namespace pepeunit

// Returns from the calling function (which returns a Status or StatusOr) when `expr` is an error.
#define PEPEUNIT_RETURN_IF_ERROR(expr)                                                        \
  do {                                                                                        \
    if (absl::Status pepeunit_status = (expr); !pepeunit_status.ok()) return pepeunit_status; \
  } while (false)

#define PEPEUNIT_CONCAT_INNER(a, b) a##b
#define PEPEUNIT_CONCAT(a, b) PEPEUNIT_CONCAT_INNER(a, b)

// PEPEUNIT_ASSIGN_OR_RETURN(auto x, MakeX()): the value, or return the error.
#define PEPEUNIT_ASSIGN_OR_RETURN(lhs, expr) \
  PEPEUNIT_ASSIGN_OR_RETURN_IMPL(PEPEUNIT_CONCAT(pepeunit_or_, __LINE__), lhs, expr)
#define PEPEUNIT_ASSIGN_OR_RETURN_IMPL(tmp, lhs, expr) \
  auto tmp = (expr);                                   \
  if (!tmp.ok()) return tmp.status();                  \
  lhs = *std::move(tmp)
