#include <cstdlib>

#include "handler.h"
#include "migrations.h"
#include "pepeunit/base/log.h"
#include "postgres_key_store.h"
#include "settings.h"

using namespace pepeunit;
using namespace pepeunit::crypto;

namespace {

int Fail(const char* what, const absl::Status& status) {
  log::Error(what, {{"status", status}});
  return EXIT_FAILURE;
}

}  // namespace

int main(int argc, char** argv) {
  Config config("crypto");
  Settings settings = Settings::From(config);
  runtime::ExitOnHelpOrProblems(config, argc, argv);
  runtime::Service service(settings.runtime);

  auto master_key = MasterKey::FromBase64(settings.master_key);
  if (!master_key.ok()) return Fail("cannot use the master key", master_key.status());
  postgres::Pool pool(settings.pool);
  if (auto s = postgres::ApplyMigrations(pool, "secret", kMigrations, std::chrono::minutes(5)); !s.ok())
    return Fail("cannot migrate", s);
  PostgresKeyStore store(pool);
  auto keys = KeyRing::OpenWaiting(*master_key, store, std::chrono::minutes(5));
  if (!keys.ok()) return Fail("cannot open the data keys", keys.status());

  Sealer sealer(**keys);
  Passwords passwords(static_cast<std::ptrdiff_t>(settings.password_threads));
  AccessTokens access_tokens(**keys);
  UnitTokens unit_tokens(**keys);
  Api api(sealer, passwords, access_tokens, unit_tokens);

  rpc::Calls calls(settings.server, &service.metrics());
  rpc::Calls password_calls(settings.PasswordCalls(), &service.metrics());
  Handler handler(calls, password_calls, api);
  rpc::Server server(settings.server, {&handler});
  if (auto s = server.Start(); !s.ok()) return Fail("cannot serve", s);

  service.AddReadiness("data keys", [&] { return sealer.Seal("ready", "crypto.readiness").status(); });
  service.OnReadyChange([&](bool ready) { server.SetServing(ready); });
  service.OnDrain("gRPC", [&](auto deadline) { server.Shutdown(deadline); });
  service.OnDrain("calls", [&](auto) {
    calls.Drain();
    password_calls.Drain();
  });
  return service.Run();
}
