#pragma once

#include <google/protobuf/descriptor.pb.h>

#include <string>

#include "absl/status/statusor.h"

namespace pepeunit::gateway {

// The OpenAPI 3.1 document of all rpcs with a google.api.http binding in `files`, which must hold their imports first
// (protoc --include_imports) and their comments (--include_source_info). The same input gives the same bytes.
absl::StatusOr<std::string> OpenApiOf(const google::protobuf::FileDescriptorSet& files, const std::string& version);

}  // namespace pepeunit::gateway
