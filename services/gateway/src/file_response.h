#pragma once

#include <memory>

#include "backends.h"
#include "reply.h"

namespace pepeunit::gateway {

// Puts what the headers Range and If-Range ask for into the field of the request that takes it, if there is one.
void SetRange(const http::Exchange& headers, google::protobuf::Message* request);

// Sets the format of the file by the header Accept, where the request has such a field and does not say it; false when
// there is none that the caller takes.
bool SetFormat(const http::Exchange& headers, google::protobuf::Message* request);

// Answers with a stream of pepeunit.common.v1.FileChunk as one body, each piece when the one before is on its way. An
// error before the first piece is a problem document, one that the caller has already (If-None-Match) is 304; one after
// it cuts the connection, so that half a file never looks whole. A caller who goes away ends the call.
void SendFile(Backends& backends, const BackendCall& call, const google::protobuf::Message& request,
              std::shared_ptr<Reply> reply);

}  // namespace pepeunit::gateway
