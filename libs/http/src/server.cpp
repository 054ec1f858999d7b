#include "pepeunit/http/server.h"

#include <sys/resource.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <optional>
#include <thread>
#include <unordered_map>

#include "pepeunit/base/address.h"
#include "pepeunit/base/clock.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/base/log.h"
#include "pepeunit/http/problem.h"
#include "session.h"

namespace pepeunit::http {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr std::chrono::milliseconds kSweep{500};

// Each connection is an open file, and the process needs some besides: with none left it could not even refuse.
void FitFiles(ServerOptions* options) {
  constexpr rlim_t kOthers = 256;
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  const rlim_t wanted = options->max_connections + kOthers;
  if (files.rlim_cur < wanted) {
    files.rlim_cur = std::min(wanted, files.rlim_max);
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
  if (files.rlim_cur >= wanted) return;
  options->max_connections = files.rlim_cur > 2 * kOthers ? files.rlim_cur - kOthers : files.rlim_cur / 2;
  log::Warning("this process may open fewer files than it may have connections; it takes as many as fit",
               {{"files", files.rlim_cur}, {"connections", options->max_connections}});
}

// A thread, its loop, and the sessions that live on it.
struct Worker {
  asio::io_context io{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{io.get_executor()};
  asio::steady_timer timer{io};
  std::unordered_map<Session*, std::weak_ptr<Session>> sessions;  // touched on the worker's thread only
  std::thread thread;

  void Sweep() {
    const std::int64_t now = MonotonicMs();
    for (auto it = sessions.begin(); it != sessions.end();) {
      if (const auto session = it->second.lock()) {
        session->CheckTime(now);
        ++it;
      } else {
        it = sessions.erase(it);
      }
    }
    timer.expires_after(kSweep);
    auto again = [this](const error_code& error) {
      if (!error) Sweep();
    };
    timer.async_wait(again);
  }

  template <typename Work>
  void ForEach(Work each) {
    asio::post(io, [this, each] {
      for (auto& [key, weak] : sessions) {
        if (const auto session = weak.lock()) each(*session);
      }
    });
  }
};

}  // namespace

struct Server::Impl {
  Impl(ServerOptions options, Handler handler) {
    shared.options = std::move(options);
    shared.handler = std::move(handler);
    for (std::size_t i = 0; i < std::max<std::size_t>(shared.options.threads, 1); ++i) {
      workers.push_back(std::make_unique<Worker>());
    }
    acceptor.emplace(workers[0]->io);
    retry.emplace(workers[0]->io);
  }

  void Accept() {
    Worker& worker = *workers[next++ % workers.size()];
    auto accepted = [this, &worker](const error_code& error, asio::ip::tcp::socket socket) {
      if (error == asio::error::operation_aborted) return;
      if (!error) Begin(worker, std::move(socket));
      if (!error) return Accept();
      // Out of file descriptors or the like: trying again at once would spin.
      log::Warning("accepting failed", {{"cause", error.message()}});
      retry->expires_after(std::chrono::milliseconds(100));
      retry->async_wait([this](const error_code& aborted) {
        if (!aborted) Accept();
      });
    };
    acceptor->async_accept(worker.io, accepted);
  }

  void Begin(Worker& worker, asio::ip::tcp::socket socket) {
    error_code unknown;
    const auto remote = socket.remote_endpoint(unknown);
    std::string client = unknown ? std::string() : AddressGroup(remote.address().to_string());
    if (shared.connections >= shared.options.max_connections || !shared.Admit(client)) {
      auto busy = Problem(Unavailable("Too many connections."), "", TraceContext::New());
      const std::string text =
          "HTTP/1.1 503 Service Unavailable\r\nContent-Type: " + busy.content_type +
          "\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: " + std::to_string(busy.body.size()) +
          "\r\n\r\n" + busy.body;
      error_code ignored;
      socket.non_blocking(true, ignored);
      socket.send(asio::buffer(text), 0, ignored);
      return;
    }
    auto session = std::make_shared<Session>(worker.io, std::move(socket), std::move(client), shared);
    asio::post(worker.io, [&worker, session] {
      worker.sessions.emplace(session.get(), session);
      session->Start();
    });
  }

  Shared shared;
  std::vector<std::unique_ptr<Worker>> workers;
  std::optional<asio::ip::tcp::acceptor> acceptor;
  std::optional<asio::steady_timer> retry;
  std::size_t next = 0;
  std::uint16_t port = 0;
  bool started = false;
};

Server::Server(ServerOptions options, Handler handler)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(handler))) {}

Server::~Server() {
  if (impl_->started) Shutdown(std::chrono::steady_clock::now());
}

absl::Status Server::Start() {
  FitFiles(&impl_->shared.options);
  const ServerOptions& options = impl_->shared.options;
  const std::string where = options.address + ":" + std::to_string(options.port);
  error_code error;
  const auto address = asio::ip::make_address(options.address, error);
  if (error) return absl::InvalidArgumentError("'" + options.address + "' is not an IP address to listen on");
  const asio::ip::tcp::endpoint endpoint(address, options.port);
  auto& acceptor = *impl_->acceptor;
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(1024, error);
  if (error) return absl::UnavailableError("cannot listen on " + where + ": " + error.message());
  impl_->port = acceptor.local_endpoint(error).port();
  impl_->Accept();
  for (auto& worker : impl_->workers) {
    worker->Sweep();
    worker->thread = std::thread([w = worker.get()] { w->io.run(); });
  }
  impl_->started = true;
  log::Info("listening for HTTP", {{"address", options.address}, {"port", impl_->port}});
  return absl::OkStatus();
}

std::uint16_t Server::port() const { return impl_->port; }

ServerStats Server::stats() const { return {impl_->shared.connections, impl_->shared.requests}; }

void Server::Shutdown(std::chrono::steady_clock::time_point deadline) {
  if (!impl_->started) return;
  impl_->started = false;
  impl_->shared.draining = true;
  asio::post(impl_->workers[0]->io, [this] {
    error_code ignored;
    impl_->acceptor->close(ignored);
    impl_->retry->cancel();
  });
  for (auto& worker : impl_->workers) worker->ForEach([](Session& session) { session.CloseIfIdle(); });
  while (impl_->shared.connections > 0 && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  for (auto& worker : impl_->workers) worker->ForEach([](Session& session) { session.Close(); });
  for (auto& worker : impl_->workers) {
    asio::post(worker->io, [w = worker.get()] {
      w->timer.cancel();
      w->work.reset();
      w->io.stop();
    });
    worker->thread.join();
  }
}

}  // namespace pepeunit::http
