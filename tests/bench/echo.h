#pragma once

#include <cstdint>

namespace pepeunit::bench {

// The ceiling: a Boost.Beast server on 127.0.0.1 that sends each body back and does nothing else. Prints
// `{"port": n}` and serves until it is ended.
int RunEcho(std::uint16_t port, unsigned threads);

}  // namespace pepeunit::bench
