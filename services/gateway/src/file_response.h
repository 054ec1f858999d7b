#pragma once

#include <memory>

#include "backends.h"
#include "reply.h"

namespace pepeunit::gateway {

// Answers with a stream of pepeunit.common.v1.FileChunk as one body, each piece when the one before is on its way. An
// error before the first piece is a problem document; one after it cuts the connection, so that half a file never
// looks whole. A caller who goes away ends the call.
void SendFile(Backends& backends, const BackendCall& call, const google::protobuf::Message& request,
              std::shared_ptr<Reply> reply);

}  // namespace pepeunit::gateway
