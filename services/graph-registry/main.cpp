#include "adapters.h"
#include "handlers.h"
#include "housekeeping.h"
#include "migrations.h"
#include "openid_provider.h"
#include "postgres_accounts.h"
#include "postgres_identities.h"
#include "postgres_store.h"
#include "postgres_tokens.h"
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
  const rpc::Channel crypto(settings.crypto_target, settings.server.instance_key);
  const rpc::Channel state_logger(settings.log_target, settings.server.instance_key);
  const rpc::Channel repo_sync(settings.repo_target, settings.server.instance_key);
  outbox::Relay relay(pool, bus, "graph");
  PostgresAccounts people(pool);
  PostgresTokens token_store(pool);
  PostgresIdentities identities(pool);
  CurlWeb web;
  StateLoggerGate gate(state_logger);
  PostgresStore store(pool, &relay, &gate, settings.quotas);
  CryptoSecretBox secrets(crypto);
  RepoSyncVersions versions(repo_sync);
  BusValueStream values(bus, settings.partitions);

  Accounts accounts(people, secrets, settings.accounts);
  People users(people, store);
  PersonalTokens tokens(token_store);
  Oidc oidc(identities, accounts, OpenIdProviders(settings.oidc, web));
  RepoUnits repo_units(store, secrets, versions, settings.standard);
  Units units(store, secrets, versions, values, settings.device_url);
  RepoEvents repo_events(bus, store, units);
  Links links(store, settings.link_bounds);
  Nodes nodes(store);
  Internals internals(store, token_store);

  Housekeeping housekeeping({{"audit", [&] { return store.ForgetAudit(settings.audit_days); }}}, std::chrono::hours(1));

  rpc::Calls calls(settings.server, &service.metrics());
  rpc::Calls web_calls(settings.web_server, &service.metrics());
  const Callers callers(people);
  Handlers handlers(calls, web_calls, callers, accounts, users, tokens, oidc, repo_units, units, links, nodes,
                    internals);
  rpc::Server server(settings.server, handlers.All());

  service.AddReadiness("postgres", [&] { return pool.Ping(); });
  service.AddReadiness("bus", [&] { return bus.Ping(); });
  service.AddReadiness("crypto", [&] { return crypto.Check(); });
  service.OnReadyChange([&](bool ready) { server.SetServing(ready); });
  service.OnDrain("gRPC", [&](auto deadline) { server.Shutdown(deadline); });
  service.OnDrain("calls", [&](auto) { calls.Drain(), web_calls.Drain(); });
  service.OnDrain("housekeeping", [&](auto) { housekeeping.Stop(); });
  service.OnDrain("events", [&](auto) { repo_events.Stop(); });
  service.OnDrain("outbox", [&](auto) { relay.Stop(); });
  constexpr std::chrono::seconds kTry(3);  // then the step is tried again, so that a stop is not held up
  return service.Run({
      {"settings", [&] { return settings.problem; }},
      {"migrations", [&] { return postgres::ApplyMigrations(pool, "graph", kMigrations, kTry); }},
      {"events", [&] { return bus.EnsureStream(bus::EventsStream(settings.stream_replicas), kTry); }},
      {"values",
       [&] { return bus.EnsureStream(bus::ValuesStream(settings.values_max_bytes, settings.stream_replicas), kTry); }},
      {"administrator", [&] { return accounts.EnsureAdministrator(settings.admin_login, settings.admin_password); }},
      {"gRPC", [&] { return server.Start(); }},
      {"outbox", [&] { return relay.Start(), repo_events.Start(), housekeeping.Start(), absl::OkStatus(); }},
  });
}
