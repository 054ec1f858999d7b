#include "forgetting.h"
#include "handlers.h"
#include "migrations.h"
#include "partitions.h"
#include "postgres_history.h"
#include "postgres_locks.h"
#include "postgres_store.h"
#include "settings.h"
#include "turns.h"
#include "upkeep.h"

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
  PostgresRollups rollups(pool);
  Turns turns(bus, store, rollups, after_sleep);
  PostgresUpkeep tables(pool, settings.history);
  Upkeep upkeep(tables, graph);
  GraphRights rights(graph);
  Values values(store, rights);
  PostgresHistory history_store(pool);
  Histories histories(history_store, rights);
  PrometheusApi prometheus_api(history_store, rights, settings.most_samples);
  bus::Bus live_bus(settings.live_bus);
  LiveValues live(live_bus, history_store, rights);
  SqlReaders sql_readers(pool, rights, live_bus, settings.sql);
  Snapshots snapshots(store, bus, settings.partitions.count);

  rpc::Calls calls(settings.server, &service.metrics());
  // Apart from those for people, which wait for graph-registry: it waits for these.
  rpc::Calls internal_calls(settings.server, &service.metrics());
  // Whoever downloads for minutes keeps nobody from the newest values.
  rpc::Calls history_calls(settings.history_server, &service.metrics());
  ValueHandler value_handler(calls, values, live);
  HistoryHandler history_handler(history_calls, histories);
  PrometheusHandler prometheus_handler(history_calls, prometheus_api);
  SqlHandler sql_handler(calls, sql_readers);
  ValueInternalHandler internal_handler(internal_calls, snapshots, forgetting);
  rpc::Server server(settings.server,
                     {&value_handler, &history_handler, &prometheus_handler, &sql_handler, &internal_handler});

  service.AddReadiness("postgres", [&] { return pool.Ping(); });
  service.AddReadiness("bus", [&] { return bus.Ping(); });
  service.AddReadiness("graph-registry", [&] { return graph.Check(); });
  service.OnReadyChange([&](bool ready) { server.SetServing(ready); });
  service.OnDrain("streams of values", [&](auto) { live.Stop(); });
  service.OnDrain("gRPC", [&](auto deadline) { server.Shutdown(deadline); });
  service.OnDrain("calls", [&](auto) { calls.Drain(), history_calls.Drain(), internal_calls.Drain(); });
  service.OnDrain("events", [&](auto) { forgetting.Stop(), turns.Stop(), upkeep.Stop(), sql_readers.Stop(); });
  service.OnDrain("partitions", [&](auto) { partitions.Stop(); });
  return service.Run({
      {"migrations", [&] { return postgres::ApplyMigrations(pool, "log", kMigrations); }},
      {"stream EVENTS", [&] { return bus.EnsureStream(bus::EventsStream(settings.stream_replicas)); }},
      {"stream VALUES",
       [&] {
         return bus.EnsureStream(bus::ValuesStream(settings.partitions.values_max_bytes, settings.stream_replicas));
       }},
      {"gRPC",
       [&] {
         live.Start();
         return server.Start();
       }},
      {"events", [&] { return forgetting.CatchUp(); }},
      {"writers",
       [&] {
         partitions.Start();
         forgetting.Start();
         turns.Start();
         upkeep.Start();
         sql_readers.Start();
         return absl::OkStatus();
       }},
  });
}
