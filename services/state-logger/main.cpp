#include "forgetting.h"
#include "handlers.h"
#include "held_values.h"
#include "migrations.h"
#include "partitions.h"
#include "postgres_locks.h"
#include "postgres_store.h"
#include "settings.h"

using namespace pepeunit;
using namespace pepeunit::state_logger;

int main(int argc, char** argv) {
  Config config("state-logger");
  const Settings settings = Settings::From(config);
  runtime::ExitOnHelpOrProblems(config, argc, argv);
  runtime::Service service(settings.runtime);

  bus::Bus bus(settings.bus);
  postgres::Pool pool(settings.pool);
  const rpc::Channel graph(settings.graph_target, settings.server.instance_key);
  PostgresStore store(pool, settings.links);
  PostgresLocks locks(pool);
  Forgetting forgetting(bus, store);
  const AfterSleep after_sleep = [&] { return forgetting.CatchUp(); };
  Partitions partitions(store, locks, bus, WriterMetrics::In(service.metrics()), settings.partitions, after_sleep);
  HeldValues held_values(bus, store, after_sleep);
  GraphRights rights(graph);
  Values values(store, rights);
  Snapshots snapshots(store, bus, settings.partitions.count);

  rpc::Calls calls(settings.server, &service.metrics());
  // Apart from those for people, which wait for graph-registry: it waits for these.
  rpc::Calls internal_calls(settings.server, &service.metrics());
  ValueHandler value_handler(calls, values);
  ValueInternalHandler internal_handler(internal_calls, snapshots, forgetting);
  rpc::Server server(settings.server, {&value_handler, &internal_handler});

  service.AddReadiness("postgres", [&] { return pool.Ping(); });
  service.AddReadiness("bus", [&] { return bus.Ping(); });
  service.AddReadiness("graph-registry", [&] { return graph.Check(); });
  service.OnReadyChange([&](bool ready) { server.SetServing(ready); });
  service.OnDrain("gRPC", [&](auto deadline) { server.Shutdown(deadline); });
  service.OnDrain("calls", [&](auto) { calls.Drain(), internal_calls.Drain(); });
  service.OnDrain("events", [&](auto) { forgetting.Stop(), held_values.Stop(); });
  service.OnDrain("partitions", [&](auto) { partitions.Stop(); });
  return service.Run({
      {"migrations", [&] { return postgres::ApplyMigrations(pool, "log", kMigrations); }},
      {"stream EVENTS", [&] { return bus.EnsureStream(bus::EventsStream(settings.stream_replicas)); }},
      {"stream VALUES",
       [&] {
         return bus.EnsureStream(bus::ValuesStream(settings.partitions.values_max_bytes, settings.stream_replicas));
       }},
      {"gRPC", [&] { return server.Start(); }},
      {"events", [&] { return forgetting.CatchUp(); }},
      {"writers",
       [&] {
         partitions.Start();
         forgetting.Start();
         held_values.Start();
         return absl::OkStatus();
       }},
  });
}
