#include <cstdlib>
#include <utility>

#include "api.h"
#include "pepeunit/base/log.h"
#include "remote_sign_in.h"
#include "settings.h"

using namespace pepeunit;
using namespace pepeunit::gateway;

int main(int argc, char** argv) {
  Config config("gateway");
  const Settings settings = Settings::From(config);
  runtime::ExitOnHelpOrProblems(config, argc, argv);
  runtime::Service service(settings.runtime);

  const std::string& key = settings.instance_key;
  const rpc::Channel crypto(settings.crypto_target, key), graph(settings.graph_target, key),
      repo(settings.repo_target, key), archive(settings.archive_target, key), log_channel(settings.log_target, key);
  Edge edge(service.metrics(), settings.max_in_flight, settings.cors_origins, settings.max_streams);
  Backends backends;
  backends.Add("pepeunit.crypto.v1", crypto);
  backends.Add("pepeunit.graph.v1", graph);
  backends.Add("pepeunit.repo.v1", repo);
  backends.Add("pepeunit.archive.v1", archive);
  backends.Add("pepeunit.log.v1", log_channel);
  Authenticator authenticator(KeysFrom(backends), TokensFrom(backends));

  auto router = LinkedRouter();
  if (!router.ok()) {
    log::Error("the API's bindings are wrong", {{"status", router.status()}});
    return EXIT_FAILURE;
  }
  Api api(settings.api, *std::move(router), authenticator, backends, edge);
  http::Server server(settings.server, [&api](auto exchange) { api.Handle(std::move(exchange)); });
  if (absl::Status status = server.Start(); !status.ok()) {
    log::Error("cannot serve", {{"status", status}});
    return EXIT_FAILURE;
  }

  // The others have their own part of the API: without one of them the rest still answers.
  service.AddReadiness("graph-registry", [&graph] { return graph.Check(); });
  service.AddReadiness("keys of access tokens", [&authenticator] { return authenticator.KeepFresh(); });
  service.OnDrain("streams", [&](auto) { backends.EndStreams(); });
  service.OnDrain("HTTP", [&](auto deadline) {
    server.Shutdown(std::chrono::steady_clock::now() + (deadline - std::chrono::system_clock::now()));
  });
  service.OnDrain("calls", [&](auto deadline) { backends.Drain(deadline); });
  return service.Run();
}
