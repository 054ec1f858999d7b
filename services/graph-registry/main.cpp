#include "composition.h"
#include "followed_events.h"
#include "handlers.h"
#include "housekeeping.h"
#include "migrations.h"
#include "rollout_turns.h"

using namespace pepeunit;
using namespace pepeunit::graph_registry;

int main(int argc, char** argv) {
  Config config("graph-registry");
  const Settings settings = Settings::From(config);
  runtime::ExitOnHelpOrProblems(config, argc, argv);
  runtime::Service service(settings.runtime);

  bus::Bus bus(settings.bus);
  postgres::Pool pool(settings.pool);
  outbox::Relay relay(pool, bus, "graph");
  Neighbours others(settings, bus);
  Storage kept(settings, pool, relay, others);
  Domain d(settings, kept, others);
  FollowTurns turns(kept.graph, d.followers);
  RolloutTurns rollouts(kept.graph, kept.rollouts, others.versions, d.units, d.updates);
  FollowedEvents events(bus, kept.graph, turns, d.updates);
  Housekeeping housekeeping({{"audit", [&] { return kept.graph.ForgetAudit(settings.audit_days); }},
                             {"idempotency keys", [&] { return kept.graph.ForgetIdempotencyKeys(); }},
                             {"invitations", [&] { return kept.invitations.ForgetInvitations(); }},
                             {"failures", [&] { return kept.people.ForgetFailures(kMostFailures); }},
                             {"feed", [&] { return kept.feed.Forget(settings.feed_hours); }}},
                            std::chrono::hours(1));
  Housekeeping timeouts({{"updates", [&] { return d.updates.Expire(); }}}, std::chrono::seconds(10));

  rpc::Calls calls(settings.server, &service.metrics());
  rpc::Calls passwords(settings.password_server, &service.metrics());
  rpc::Calls web_calls(settings.web_server, &service.metrics());
  rpc::Calls downloads(settings.download_server, &service.metrics());
  const Callers callers(kept.people);
  ChangeFeed feed(kept.feed, callers, settings.feed);
  Handlers handlers({calls, passwords, web_calls, downloads}, callers, d.accounts, d.users, d.departures, d.exports,
                    d.invitations, d.tokens, d.oidc, d.repo_units, d.followers, d.rollouts, d.units, d.updates, d.links,
                    d.nodes, d.neighbourhoods, d.internals, feed);
  rpc::Server server(settings.server, handlers.All());

  service.AddReadiness("postgres", [&] { return pool.Ping(); });
  service.AddReadiness("bus", [&] { return bus.Ping(); });
  service.AddReadiness("crypto", [&] { return others.crypto.Check(); });
  service.OnReadyChange([&](bool ready) { server.SetServing(ready); });
  service.OnDrain("feed", [&](auto) { feed.Stop(); });
  service.OnDrain("gRPC", [&](auto deadline) { server.Shutdown(deadline); });
  service.OnDrain("calls", [&](auto) { calls.Drain(), passwords.Drain(), web_calls.Drain(), downloads.Drain(); });
  service.OnDrain("housekeeping", [&](auto) { housekeeping.Stop(), timeouts.Stop(); });
  service.OnDrain("events", [&](auto) { events.Stop(), turns.Stop(), rollouts.Stop(); });
  service.OnDrain("outbox", [&](auto) { relay.Stop(); });
  constexpr std::chrono::seconds kTry(3);  // then the step is tried again, so that a stop is not held up
  return service.Run({
      {"settings", [&] { return settings.problem; }},
      {"migrations", [&] { return postgres::ApplyMigrations(pool, "graph", kMigrations, kTry); }},
      {"events", [&] { return bus.EnsureStream(bus::EventsStream(settings.stream_replicas), kTry); }},
      {"values",
       [&] { return bus.EnsureStream(bus::ValuesStream(settings.values_max_bytes, settings.stream_replicas), kTry); }},
      {"administrator", [&] { return d.accounts.EnsureAdministrator(settings.admin_login, settings.admin_password); }},
      {"gRPC", [&] { return feed.Start(), server.Start(); }},
      {"outbox",
       [&] {
         return relay.Start(), turns.Start(), rollouts.Start(), events.Start(), housekeeping.Start(), timeouts.Start(),
                absl::OkStatus();
       }},
  });
}
