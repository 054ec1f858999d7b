// pepeunit-bench: the load generator of `tools/bench`.
//
//   pepeunit-bench echo   [--port N] [--threads N]
//   pepeunit-bench load   --units FILE --port N [--host IP] [--target PATH] [--connections N] [--threads N]
//                         [--seconds S] [--echo]
//   pepeunit-bench ota    --units FILE --port N --have COMMIT [--host IP] [--connections N] [--chunk BYTES]
//                         [--plain-port N]
//   pepeunit-bench latency --units FILE --port N [--host IP] [--per-s N] [--seconds S]
//
// `load` prints one JSON object: accepted, per_s, percentiles in ms, refused by HTTP status; `ota` and
// `latency` one with the members of OtaReport (ota.h) and LatencyReport (latency.h).
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <map>
#include <string>

#include "echo.h"
#include "latency.h"
#include "load.h"
#include "ota.h"

namespace {

int Usage() {
  std::fprintf(stderr,
               "usage: pepeunit-bench echo [--port N] [--threads N]\n"
               "       pepeunit-bench load --units FILE --port N [--host IP] [--target PATH] [--connections N]\n"
               "                           [--threads N] [--seconds S] [--echo]\n"
               "       pepeunit-bench ota --units FILE --port N --have COMMIT [--host IP] [--connections N]\n"
               "                          [--chunk BYTES] [--plain-port N]\n"
               "       pepeunit-bench latency --units FILE --port N [--host IP] [--per-s N] [--seconds S]\n");
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace pepeunit::bench;
  if (argc < 2) return Usage();
  const std::string command = argv[1];
  std::map<std::string, std::string> options;
  for (int i = 2; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--echo")
      options[name] = "1";
    else if (name.starts_with("--") && i + 1 < argc)
      options[name] = argv[++i];
    else
      return Usage();
  }
  const auto number = [&](const char* name, double fallback) {
    return options.count(name) != 0 ? std::atof(options[name].c_str()) : fallback;
  };
  if (command == "echo") {
    return RunEcho(static_cast<std::uint16_t>(number("--port", 0)), static_cast<unsigned>(number("--threads", 2)));
  }
  if (command == "ota" && !options["--units"].empty() && !options["--have"].empty() && number("--port", 0) >= 1) {
    OtaOptions ota;
    if (!options["--host"].empty()) ota.host = options["--host"];
    ota.port = static_cast<std::uint16_t>(number("--port", 0));
    ota.have = options["--have"];
    ota.connections = static_cast<unsigned>(number("--connections", ota.connections));
    ota.chunk = static_cast<std::size_t>(number("--chunk", static_cast<double>(ota.chunk)));
    ota.plain_port = static_cast<std::uint16_t>(number("--plain-port", 0));
    auto devices = ReadDevices(options["--units"]);
    std::printf("%s\n", RunOta(ota, devices).ToJson().c_str());
    return 0;
  }
  if (command == "latency" && !options["--units"].empty() && number("--port", 0) >= 1) {
    LatencyOptions latency;
    if (!options["--host"].empty()) latency.host = options["--host"];
    latency.port = static_cast<std::uint16_t>(number("--port", 0));
    latency.per_s = number("--per-s", latency.per_s);
    latency.seconds = number("--seconds", latency.seconds);
    auto devices = ReadDevices(options["--units"]);
    std::printf("%s\n", RunLatency(latency, devices).ToJson().c_str());
    return 0;
  }
  if (command != "load" || options["--units"].empty() || number("--port", 0) < 1) return Usage();
  LoadOptions load;
  if (!options["--host"].empty()) load.host = options["--host"];
  if (!options["--target"].empty()) load.target = options["--target"];
  load.port = static_cast<std::uint16_t>(number("--port", 0));
  load.connections = static_cast<unsigned>(number("--connections", 64));
  load.threads = static_cast<unsigned>(number("--threads", 1));
  load.seconds = number("--seconds", 10);
  load.echo = options.count("--echo") != 0;
  auto devices = ReadDevices(options["--units"]);
  const std::clock_t cpu = std::clock();
  Report report = RunLoad(load, devices);
  report.cpu_s = static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC;
  std::printf("%s\n", report.ToJson().c_str());
  return 0;
}
