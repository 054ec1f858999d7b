#pragma once

#include <prometheus/registry.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "pepeunit/base/config.h"

namespace pepeunit::runtime {

// What every service has in common, read by RuntimeSettings::From:
//   PEPEUNIT_LOG_LEVEL, PEPEUNIT_ADMIN_ADDRESS, PEPEUNIT_ADMIN_PORT, PEPEUNIT_DRAIN_TIMEOUT
struct RuntimeSettings {
  std::string service;
  std::string log_level;
  std::string admin_address;
  std::uint16_t admin_port = 0;
  std::chrono::milliseconds drain_timeout{15'000};

  static RuntimeSettings From(Config& config, const std::string& service, std::uint16_t default_admin_port);
};

// Prints help for `--help` (exit 0) or the configuration's problems (exit 2); otherwise returns.
void ExitOnHelpOrProblems(const Config& config, int argc, char** argv);

// The frame of a service's process: signals, logs, the admin port with /metrics, /healthz (the process runs) and
// /readyz (all that was added with AddReadiness answers; else 503 and which does not), and an orderly end.
//
//   runtime::Service service(settings);            // blocks SIGTERM and SIGINT: before any other thread
//   service.AddReadiness("postgres", [&] { return pool.Ping(); });
//   service.OnDrain("grpc", [&](auto deadline) { server.Shutdown(deadline); });
//   return service.Run({{"migrations", [&] { ... }}, {"gRPC", [&] { return server.Start(); }}});
//                                                  // until a signal; drains; 0
//
// A signal before Run ends the process at once with 0: nothing is in flight yet.
class Service {
 public:
  explicit Service(RuntimeSettings settings);
  ~Service();

  prometheus::Registry& metrics();
  // Checked once a second on a thread of its own; may block for up to a second. Add before Run.
  void AddReadiness(std::string name, std::function<absl::Status()> check);
  // Told when readiness changes, for the gRPC health service. Add before Run.
  void OnReadyChange(std::function<void(bool ready)> listener);
  // Steps of the drain, done in the order in which they were added: stop input first, then what is in flight.
  void OnDrain(std::string name, std::function<void(std::chrono::system_clock::time_point deadline)> step);
  // What has to happen before the service can be ready. A step that returns UNAVAILABLE is tried again with backoff for
  // ever, so that start order does not matter; any other error ends the process with 1.
  struct StartStep {
    std::string name;
    std::function<absl::Status()> run;  // bounded to a few seconds
  };
  // Takes the steps in their order, serves until SIGTERM or SIGINT (or Stop), then drains. A drain that passes the
  // timeout ends the process with 1.
  int Run(std::vector<StartStep> steps = {});
  // Ends Run as a signal would. Thread-safe.
  void Stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pepeunit::runtime
