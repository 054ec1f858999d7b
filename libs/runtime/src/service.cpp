#include "pepeunit/runtime/service.h"

#include <malloc.h>
#include <prometheus/gauge.h>
#include <prometheus/text_serializer.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>
#include <utility>
#include <vector>

#include "pepeunit/base/backoff.h"
#include "pepeunit/base/clock.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/base/log.h"
#include "pepeunit/http/problem.h"
#include "pepeunit/http/server.h"
#include "readiness.h"

namespace pepeunit::runtime {
namespace {

// Signals are taken by sigtimedwait in Run; every thread made after this inherits the mask.
sigset_t BlockSignals() {
  ::signal(SIGPIPE, SIG_IGN);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  return set;
}

std::int64_t ResidentBytes() {
  long pages = 0;
  if (std::FILE* file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%*s %ld", &pages) != 1) pages = 0;
    std::fclose(file);
  }
  return pages * ::sysconf(_SC_PAGESIZE);
}

}  // namespace

RuntimeSettings RuntimeSettings::From(Config& config, const std::string& service, std::uint16_t default_admin_port) {
  RuntimeSettings settings;
  settings.service = service;
  settings.log_level = config.String("PEPEUNIT_LOG_LEVEL", "info", "debug, info, warning or error");
  settings.admin_address = config.String("PEPEUNIT_ADMIN_ADDRESS", "127.0.0.1",
                                         "IP for /metrics, /healthz and /readyz; keep it off the public network");
  settings.admin_port = config.Port("PEPEUNIT_ADMIN_PORT", default_admin_port, "their port");
  settings.drain_timeout = config.Duration("PEPEUNIT_DRAIN_TIMEOUT", std::chrono::seconds(15),
                                           "how long a stop may take to finish what is in flight");
  return settings;
}

void ExitOnHelpOrProblems(const Config& config, int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--help" || argument == "-h") {
      std::printf("Configured by these environment variables:\n\n%s", config.HelpTable().c_str());
      std::exit(0);  // NOLINT(concurrency-mt-unsafe): no other thread runs yet
    }
  }
  if (const absl::Status status = config.Finish(); !status.ok()) {
    std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
    std::exit(2);  // NOLINT(concurrency-mt-unsafe)
  }
}

struct Service::Impl {
  struct Step {
    std::string name;
    std::function<void(std::chrono::system_clock::time_point)> run;
  };

  explicit Impl(RuntimeSettings s) : settings(std::move(s)), signals(BlockSignals()) {
    // Two arenas instead of eight per core: the services hold little and have to be small on a Raspberry Pi.
    ::mallopt(M_ARENA_MAX, 2);
    if (!log::Init(settings.service, settings.log_level)) {
      log::Warning("PEPEUNIT_LOG_LEVEL is none of debug, info, warning and error: info is used");
    }
    resident = &prometheus::BuildGauge()
                    .Name("process_resident_memory_bytes")
                    .Help("Resident memory")
                    .Register(registry)
                    .Add({});
    ready_gauge = &prometheus::BuildGauge()
                       .Name("pepeunit_ready")
                       .Help("1 when everything that the service needs answers")
                       .Register(registry)
                       .Add({});
  }

  void Answer(const std::shared_ptr<http::Exchange>& exchange) {
    const auto path = exchange->path();
    http::Response response;
    if (exchange->method() != "GET" && exchange->method() != "HEAD") {
      response = http::Problem(Error(absl::StatusCode::kUnimplemented, "NOT_FOUND", "Only GET is answered here."), path,
                               exchange->trace(), 405);
    } else if (path == "/healthz") {
      response.content_type = "text/plain";
      response.body = "ok\n";
    } else if (path == "/readyz") {
      response.status = readiness.ready() ? 200 : 503;
      response.content_type = "application/json";
      response.body = readiness.Report() + "\n";
    } else if (path == "/metrics") {
      resident->Set(static_cast<double>(ResidentBytes()));
      ready_gauge->Set(readiness.ready() ? 1 : 0);
      std::ostringstream text;
      prometheus::TextSerializer().Serialize(text, registry.Collect());
      response.content_type = "text/plain; version=0.0.4; charset=utf-8";
      response.body = text.str();
    } else {
      response = http::Problem(NotFound("page"), path, exchange->trace());
    }
    exchange->Respond(std::move(response));
  }

  void StartAdmin() {
    http::ServerOptions options;
    options.address = settings.admin_address;
    options.port = settings.admin_port;
    options.threads = 1;
    options.max_body_bytes = 1024;
    options.max_connections = 64;
    admin = std::make_unique<http::Server>(options, [this](auto exchange) { Answer(exchange); });
    if (const absl::Status status = admin->Start(); !status.ok()) {
      log::Error("the admin port cannot be opened", {{"status", status}});
      failed = true;
      stop = true;
    }
  }

  // True when a signal came, false when `until` became true.
  bool WaitForSignal(const std::atomic<bool>& until) {
    const timespec step{.tv_sec = 0, .tv_nsec = 200'000'000};
    while (!until) {
      const int got = sigtimedwait(&signals, nullptr, &step);
      if (got == SIGTERM || got == SIGINT) {
        log::Info("stopping", {{"signal", got == SIGTERM ? "SIGTERM" : "SIGINT"}});
        return true;
      }
    }
    return false;
  }

  void TakeSteps(const std::vector<StartStep>& start_steps) {
    for (const StartStep& step : start_steps) {
      Backoff backoff(std::chrono::milliseconds(100), std::chrono::milliseconds(2'000));
      for (;;) {
        if (stop) return;
        const absl::Status status = step.run();
        if (status.ok()) break;
        if (!absl::IsUnavailable(status)) {
          log::Error("the start failed", {{"step", step.name}, {"status", status}});
          failed = true;
          stop = true;
          return;
        }
        log::Warning("the start waits", {{"step", step.name}, {"status", status}});
        std::this_thread::sleep_for(backoff.Next());
      }
    }
    readiness.Started();
  }

  void DrainAll() {
    readiness.Drain();
    const auto deadline = std::chrono::system_clock::now() + settings.drain_timeout;
    std::mutex mutex;
    std::condition_variable finished;
    bool done = false;
    // Ends the process when a step hangs; a little later than the deadline that the steps themselves keep.
    std::thread watchdog([&] {
      std::unique_lock lock(mutex);
      if (!finished.wait_until(lock, deadline + std::chrono::seconds(5), [&] { return done; })) {
        log::Error("the drain did not finish in time");
        ::_exit(1);
      }
    });
    for (const Step& step : steps) {
      const std::int64_t begin = MonotonicMs();
      step.run(deadline);
      log::Debug("drained", {{"step", step.name}, {"ms", MonotonicMs() - begin}});
    }
    {
      std::lock_guard lock(mutex);
      done = true;
    }
    finished.notify_all();
    watchdog.join();
  }

  RuntimeSettings settings;
  sigset_t signals;
  prometheus::Registry registry;
  prometheus::Gauge* resident = nullptr;
  prometheus::Gauge* ready_gauge = nullptr;
  Readiness readiness;
  std::unique_ptr<http::Server> admin;
  std::vector<Step> steps;
  std::atomic<bool> stop = false, running = false;
  std::atomic<bool> failed = false;
  std::thread early;  // takes signals until Run does
};

Service::Service(RuntimeSettings settings) : impl_(std::make_unique<Impl>(std::move(settings))) {
  impl_->early = std::thread([impl = impl_.get()] {
    if (impl->WaitForSignal(impl->running)) ::_exit(0);
  });
}

Service::~Service() {
  impl_->running = true;
  if (impl_->early.joinable()) impl_->early.join();
}

prometheus::Registry& Service::metrics() { return impl_->registry; }

void Service::AddReadiness(std::string name, std::function<absl::Status()> check) {
  impl_->readiness.Add(std::move(name), std::move(check));
}

void Service::OnReadyChange(std::function<void(bool)> listener) { impl_->readiness.OnChange(std::move(listener)); }

void Service::OnDrain(std::string name, std::function<void(std::chrono::system_clock::time_point)> step) {
  impl_->steps.push_back({std::move(name), std::move(step)});
}

int Service::Run(std::vector<StartStep> steps) {
  impl_->running = true;
  impl_->early.join();
  impl_->StartAdmin();
  impl_->readiness.Start();
  std::thread starter([&] { impl_->TakeSteps(steps); });
  impl_->WaitForSignal(impl_->stop);
  impl_->stop = true;
  starter.join();
  impl_->DrainAll();
  impl_->readiness.Stop();
  if (impl_->admin) impl_->admin->Shutdown(std::chrono::steady_clock::now() + std::chrono::seconds(1));
  log::Info("stopped");
  return impl_->failed ? 1 : 0;
}

void Service::Stop() { impl_->stop = true; }

}  // namespace pepeunit::runtime
