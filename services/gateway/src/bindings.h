#pragma once

#include <google/protobuf/descriptor.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "path_template.h"

// The HTTP bindings (google.api.http) of the API, read from descriptors.
namespace pepeunit::gateway {

// One way to call an rpc over HTTP. An rpc with additional_bindings has several.
struct Binding {
  const google::protobuf::MethodDescriptor* method = nullptr;
  std::string verb;  // "GET"
  PathTemplate path;
  std::string body;              // "*": the whole request; a field's name: that field; empty: none
  bool file = false;             // a stream of pepeunit.common.v1.FileChunk: the answer's body is the file
  bool events = false;           // a stream of any other message: server-sent events
  bool idempotency_key = false;  // it honours one
  bool if_match = false;         // likewise
  bool prometheus = false;       // it speaks as Prometheus does: forms, unknown parameters, errors
};

// The bindings of a file's services, in the order they are written. An error names the rpc whose binding the gateway
// cannot serve: an unknown pattern or field, a stream of requests, or one of events to anything but GET.
absl::StatusOr<std::vector<Binding>> BindingsOf(const google::protobuf::FileDescriptor& file);

// Follows `a.b` from `message`; null when a step is missing, repeated, or not a message.
const google::protobuf::FieldDescriptor* FindFieldPath(const google::protobuf::Descriptor& message,
                                                       const std::string& path);

// Whether it is the field of a request that the headers Range and If-Range set, and no parameter.
bool IsRange(const google::protobuf::FieldDescriptor& field);

// The formats that a file can have, by the header Accept: the field of its request that says which one, an enum, and
// the media types of its values. No field: it has one format only.
struct Formats {
  struct Format {
    std::string media_type;
    int value = 0;
  };
  const google::protobuf::FieldDescriptor* field = nullptr;
  std::vector<Format> formats;
};
Formats FormatsOf(const google::protobuf::Descriptor& request);

// Whether the operation makes what it answers with: 201 and Location instead of 200.
bool Creates(const google::protobuf::MethodDescriptor& method);

}  // namespace pepeunit::gateway
