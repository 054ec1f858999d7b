#pragma once

#include <chrono>
#include <string>

#include "pepeunit/unit_client/transport.h"

namespace pepeunit::unit_client {

// Of an http URL. `timeout` for opening it, and for sending a message.
SocketAnswer OpenWebSocket(const std::string& url, const std::string& token, std::chrono::milliseconds timeout);

}  // namespace pepeunit::unit_client
