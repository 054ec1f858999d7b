#include <sys/stat.h>

#include <string_view>

#include "adapters.h"
#include "handlers.h"
#include "migrations.h"
#include "postgres_store.h"
#include "settings.h"
#include "worker.h"

using namespace pepeunit;
using namespace pepeunit::repo_sync;

int main(int argc, char** argv) {
  ::umask(077);  // a copy of a private repository is nobody else's
  if (argc == 2 && std::string_view(argv[1]) == "--worker") return RunWorker();
  Config config("repo-sync");
  const Settings settings = Settings::From(config);
  runtime::ExitOnHelpOrProblems(config, argc, argv);
  runtime::Service service(settings.runtime);

  bus::Bus bus(settings.bus);
  postgres::Pool pool(settings.pool);
  const rpc::Channel crypto(settings.crypto_target, settings.server.instance_key);
  const rpc::Channel graph_channel(settings.graph_target, settings.server.instance_key);
  outbox::Relay relay(pool, bus, "repo");
  PostgresStore store(pool, &relay);
  CryptoCredentialBox credentials(crypto);
  Graph graph(graph_channel);
  Syncs syncs(store, credentials, settings.syncs, &service.metrics());
  RepoEvents repo_events(bus, graph, store, syncs);
  Copies copies(settings.syncs.folder);
  Repositories repositories(copies, store, graph);

  rpc::Calls calls(settings.server, &service.metrics());
  rpc::Calls trees(settings.tree_server, &service.metrics());
  RepositoryHandler handler(calls, repositories);
  RepositoryInternalHandler internal_handler(calls, trees, repositories);
  rpc::Server server(settings.server, {&handler, &internal_handler});

  service.AddReadiness("postgres", [&] { return pool.Ping(); });
  service.AddReadiness("bus", [&] { return bus.Ping(); });
  service.AddReadiness("graph-registry", [&] { return graph_channel.Check(); });
  service.OnReadyChange([&](bool ready) { server.SetServing(ready); });
  service.OnDrain("gRPC", [&](auto deadline) { server.Shutdown(deadline); });
  service.OnDrain("calls", [&](auto) { calls.Drain(), trees.Drain(); });
  service.OnDrain("events", [&](auto) { repo_events.Stop(); });
  service.OnDrain("syncs", [&](auto) { syncs.Stop(); });
  service.OnDrain("outbox", [&](auto) { relay.Stop(); });
  return service.Run({
      {"migrations", [&] { return postgres::ApplyMigrations(pool, "repo", kMigrations); }},
      {"stream EVENTS", [&] { return bus.EnsureStream(bus::EventsStream(settings.stream_replicas)); }},
      {"syncs", [&] { return syncs.Start(); }},
      {"gRPC", [&] { return server.Start(); }},
      {"events",
       [&] {
         relay.Start();
         repo_events.Start();
         return absl::OkStatus();
       }},
  });
}
