#include "adapters.h"
#include "edge.h"
#include "pepeunit/runtime/turn_thread.h"
#include "settings.h"

using namespace pepeunit;
using namespace pepeunit::unit_ingest;

int main(int argc, char** argv) {
  Config config("unit-ingest");
  const Settings settings = Settings::From(config);
  runtime::ExitOnHelpOrProblems(config, argc, argv);
  runtime::Service service(settings.runtime);

  bus::Bus bus(settings.bus);
  const rpc::Channel graph(settings.graph_target, settings.instance_key);
  const rpc::Channel crypto(settings.crypto_target, settings.instance_key);
  const rpc::Channel log(settings.log_target, settings.instance_key);
  const rpc::Channel archive(settings.archive_target, settings.instance_key);
  RemoteSource source(graph, crypto, log);
  RemoteFirmware firmware(archive);
  BusSink sink(bus, settings.partitions);
  Executor executor(8, 4'096), update_executor(8, 4'096, 4);
  Updates updates(firmware, update_executor, settings.edge.update_cache_bytes);
  Edge edge(source, sink, updates, executor, EdgeMetrics::In(service.metrics()), settings.edge);
  CacheEvents events(bus, edge);
  runtime::TurnThread retries("loads for connections", [&]() -> absl::StatusOr<std::chrono::milliseconds> {
    edge.RetryLoads();
    return std::chrono::milliseconds(1'000);
  });
  http::Server server(settings.server,
                      [&](std::shared_ptr<http::Exchange> exchange) { edge.Handle(std::move(exchange)); });

  service.AddReadiness("bus", [&] { return bus.Ping(); });
  service.AddReadiness("graph-registry", [&] { return graph.Check(); });
  service.AddReadiness("crypto", [&] { return crypto.Check(); });
  service.AddReadiness("state-logger", [&] { return log.Check(); });
  service.OnDrain("HTTP", [&](auto deadline) {
    server.Shutdown(std::chrono::steady_clock::now() + (deadline - std::chrono::system_clock::now()));
  });
  service.OnDrain("loads", [&](auto) { retries.Stop(), executor.Drain(), update_executor.Drain(); });
  return service.Run({{"HTTP", [&] {
                         retries.Start();
                         return server.Start();
                       }}});
}
