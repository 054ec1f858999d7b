#include <cstdlib>
#include <utility>

#include "handler.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/base/log.h"
#include "remote_sources.h"
#include "settings.h"

using namespace pepeunit;
using namespace pepeunit::archive;

int main(int argc, char** argv) {
  Config config("archive");
  const Settings settings = Settings::From(config);
  runtime::ExitOnHelpOrProblems(config, argc, argv);
  runtime::Service service(settings.runtime);

  const std::string& key = settings.server.instance_key;
  const rpc::Channel graph(settings.graph_target, key), crypto(settings.crypto_target, key),
      repo(settings.repo_target, key);
  RemoteSources sources(graph, crypto, repo);
  Releases releases(sources, settings.releases);
  UnitArchives archives(sources, releases);
  DeviceUpdates updates(releases);

  rpc::Calls calls(settings.server, &service.metrics());
  rpc::Calls update_calls(settings.update_server, &service.metrics());
  Handler handler(calls, archives);
  InternalHandler internal_handler(update_calls, updates);
  rpc::Server server(settings.server, {&handler, &internal_handler});
  if (absl::Status status = server.Start(); !status.ok()) {
    log::Error("cannot serve", {{"status", status}});
    return EXIT_FAILURE;
  }

  const std::pair<const char*, const rpc::Channel*> needed[] = {
      {"graph-registry", &graph}, {"crypto", &crypto}, {"repo-sync", &repo}};
  for (const auto& [name, channel] : needed) {
    service.AddReadiness(name, [channel = channel] { return channel->Check(); });
  }
  service.OnReadyChange([&](bool ready) { server.SetServing(ready); });
  service.OnDrain("gRPC", [&](auto deadline) { server.Shutdown(deadline); });
  service.OnDrain("calls", [&](auto) { calls.Drain(), update_calls.Drain(); });
  return service.Run();
}
