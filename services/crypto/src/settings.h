#pragma once

#include <cstddef>
#include <string>

#include "pepeunit/base/config.h"
#include "pepeunit/postgres/pool.h"
#include "pepeunit/rpc/server.h"
#include "pepeunit/runtime/service.h"

namespace pepeunit::crypto {

// The configuration of this service; README.md has the table.
struct Settings {
  runtime::RuntimeSettings runtime;
  rpc::ServerOptions server;
  postgres::PoolOptions pool;
  std::string master_key;  // base64; wiped when the key is made from it
  std::size_t password_threads = 2;
  std::size_t password_queue = 16;

  static Settings From(Config& config);
  // The server's options with the threads and the queue of the calls that hash: they are slow and take memory, and
  // may not stand in the way of the others.
  rpc::ServerOptions PasswordCalls() const;
};

}  // namespace pepeunit::crypto
