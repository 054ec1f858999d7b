#include "settings.h"

namespace pepeunit::crypto {

Settings Settings::From(Config& config) {
  Settings settings;
  settings.runtime = runtime::RuntimeSettings::From(config, "crypto", 9101);
  settings.server = rpc::ServerOptionsFrom(config, 7001);
  settings.pool = postgres::PoolOptionsFrom(config, "secret");
  settings.master_key = config.Secret(
      "PEPEUNIT_MASTER_KEY", "base64 of the 32 bytes that wrap the data keys; lost with it is all that was sealed");
  settings.password_threads = static_cast<std::size_t>(
      config.Integer("PEPEUNIT_PASSWORD_THREADS", 2, 1, 64, "passwords hashed at once, each taking 32 MiB and a core"));
  settings.password_queue = static_cast<std::size_t>(config.Integer(
      "PEPEUNIT_PASSWORD_QUEUE", 16, 1, 1024, "passwords that may wait; one more is RESOURCE_EXHAUSTED"));
  return settings;
}

rpc::ServerOptions Settings::PasswordCalls() const {
  rpc::ServerOptions options = server;
  options.threads = password_threads;
  options.queue = password_queue;
  return options;
}

}  // namespace pepeunit::crypto
