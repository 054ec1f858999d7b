#pragma once

#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace pepeunit::rpc {

// absl::Status to gRPC and back. Reason, violations and retry time travel as google.rpc.ErrorInfo, BadRequest and
// RetryInfo in the status details. An INTERNAL or UNKNOWN error's message stays in our log: the caller gets a general
// one.
grpc::Status ToGrpc(const absl::Status& status);
absl::Status FromGrpc(const grpc::Status& status);

}  // namespace pepeunit::rpc
