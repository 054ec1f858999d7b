#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "backends.h"
#include "reply.h"

namespace pepeunit::gateway {

// Answers with a stream of messages as server-sent events
// (https://html.spec.whatwg.org/multipage/server-sent-events.html), until the stream or the caller ends it. An error
// before the first event is a problem document, one after it an event `error` whose data is the problem.
void SendEvents(Backends& backends, const BackendCall& call, const google::protobuf::Message& request,
                std::shared_ptr<Reply> reply);

// One event: its id is the field `event_id`, its name that of the field which is set in the message's only oneof
// (`message` without one), its data the message as the API writes it. A `heartbeat` without fields only moves the id.
absl::StatusOr<std::string> EventOf(const google::protobuf::Message& message);

}  // namespace pepeunit::gateway
