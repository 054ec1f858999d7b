#include <cstdlib>

#include "adapters.h"
#include "handlers.h"
#include "migrations.h"
#include "pepeunit/base/log.h"
#include "postgres_store.h"
#include "repo_events.h"
#include "settings.h"

using namespace pepeunit;
using namespace pepeunit::graph_registry;

int main(int argc, char** argv) {
  Config config("graph-registry");
  const Settings settings = Settings::From(config);
  runtime::ExitOnHelpOrProblems(config, argc, argv);
  runtime::Service service(settings.runtime);

  bus::Bus bus(settings.bus);
  postgres::Pool pool(settings.pool);
  const rpc::Channel crypto_channel(settings.crypto_target, settings.server.instance_key);
  const rpc::Channel repo_channel(settings.repo_target, settings.server.instance_key);
  outbox::Relay relay(pool, bus, "graph");
  PostgresStore store(pool, &relay);
  CryptoSecretBox secrets(crypto_channel);
  RepoSyncVersions versions(repo_channel);
  BusValueStream values(bus, settings.partitions);
  RepoEvents repo_events(bus, store);

  Accounts accounts(store, secrets, settings.accounts);
  RepoUnits repo_units(store, secrets, versions, settings.standard);
  Units units(store, secrets, versions, values, settings.device_url);
  Links links(store);
  Internals internals(store);

  rpc::Calls calls(settings.server, &service.metrics());
  UserHandler user_handler(calls, accounts);
  SessionHandler session_handler(calls, accounts);
  RepoUnitHandler repo_unit_handler(calls, repo_units);
  UnitHandler unit_handler(calls, units);
  VariableHandler variable_handler(calls, units);
  LinkHandler link_handler(calls, links);
  InternalHandler internal_handler(calls, internals);
  rpc::Server server(settings.server, {&user_handler, &session_handler, &repo_unit_handler, &unit_handler, &variable_handler,
                                       &link_handler, &internal_handler});

  service.AddReadiness("postgres", [&] { return pool.Ping(); });
  service.AddReadiness("bus", [&] { return bus.Ping(); });
  service.AddReadiness("crypto", [&] { return crypto_channel.Check(); });
  service.OnReadyChange([&](bool ready) { server.SetServing(ready); });
  service.OnDrain("gRPC", [&](auto deadline) { server.Shutdown(deadline); });
  service.OnDrain("calls", [&](auto) { calls.Drain(); });
  service.OnDrain("events", [&](auto) { repo_events.Stop(); });
  service.OnDrain("outbox", [&](auto) { relay.Stop(); });
  return service.Run({
      {"migrations", [&] { return postgres::ApplyMigrations(pool, "graph", kMigrations); }},
      {"streams", [&] { return bus.EnsureStream(bus::EventsStream(settings.stream_replicas)); }},
      {"streams", [&] { return bus.EnsureStream(bus::ValuesStream(settings.values_max_bytes, settings.stream_replicas)); }},
      {"administrator", [&] { return settings.admin_password.empty() ? absl::OkStatus() : accounts.EnsureAdministrator(settings.admin_login, settings.admin_password); }},
      {"gRPC", [&] { relay.Start(); repo_events.Start(); return server.Start(); }},
  });
}
