#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "pepeunit/base/config.h"
#include "pepeunit/base/executor.h"
#include "pepeunit/rpc/caller.h"
#include "pepeunit/rpc/outlet.h"

namespace prometheus {
class Registry;
}

namespace pepeunit::rpc {

// What a handler may know of its call.
struct Context {
  Caller caller;
  std::chrono::system_clock::time_point deadline;  // of the caller; bounded by the server's longest
  std::function<bool()> cancelled;                 // the caller went away
};

struct ServerOptions {
  std::string address{};       // `127.0.0.1:7001` or `unix:/run/pepeunit/crypto.sock`
  std::string instance_key{};  // the shared secret of the instance's services
  std::size_t threads = 4;     // for handlers, which may block
  std::size_t queue = 256;     // calls waiting for a thread; one more is RESOURCE_EXHAUSTED
  // Calls of one user, or of one address without registration, that wait or run; one more is RESOURCE_EXHAUSTED, so
  // that nobody takes all places. They take turns with those of others, and never have all threads. 0: a quarter of the
  // queue.
  std::size_t share = 0;
  std::chrono::milliseconds patience{30'000};  // for a receiver that takes nothing of a stream; then it is cut
  std::chrono::milliseconds longest_call{30'000};
  std::size_t max_message_bytes = 4u << 20;
};

// Checks, traces, measures and runs calls on a bounded executor, so that a handler is one forwarding line:
//
//   grpc::ServerUnaryReactor* GetUnit(grpc::CallbackServerContext* c, const GetUnitRequest* q, Unit* r) override {
//     return calls_.Unary(c, q, r, [this](const Context& x, const GetUnitRequest& q, Unit& r) { return units_.Get(x, q,
//     r); });
//   }
//
// Thread-safe. Handlers run on the executor's threads with the call's TraceScope set.
class Calls {
 public:
  // `metrics` may be null.
  Calls(const ServerOptions& options, prometheus::Registry* metrics);
  ~Calls();

  template <typename Request, typename Response, typename Handler>
  grpc::ServerUnaryReactor* Unary(grpc::CallbackServerContext* context, const Request* request, Response* response,
                                  Handler handler) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    Start(
        context, Request::descriptor()->full_name(), [=](const absl::Status& status) { Finish(reactor, status); },
        [=, handler = std::move(handler)](const Context& call) { return handler(call, *request, *response); });
    return reactor;
  }

  // The handler calls `write(message)`, which waits until the caller can take more and is false when it went away, or
  // took nothing for as long as the server's patience.
  template <typename Request, typename Message, typename Handler>
  grpc::ServerWriteReactor<Message>* ServerStream(grpc::CallbackServerContext* context, const Request* request,
                                                  Handler handler) {
    auto* reactor = new StreamReactor<Message>(context, patience());
    auto shared = reactor->state;  // outlives the reactor, which deletes itself in OnDone
    Start(
        context, Request::descriptor()->full_name(), [shared](const absl::Status& status) { shared->Finish(status); },
        [=, handler = std::move(handler)](const Context& call) {
          return handler(call, *request,
                         std::function<bool(const Message&)>([shared](const Message& m) { return shared->Write(m); }));
        });
    return reactor;
  }

  // A stream that goes on after the handler, until Outlet::End or until the caller goes away: at OK the handler has
  // given the outlet to whoever fills it. At most `most` messages wait in it.
  template <typename Request, typename Message, typename Handler>
  grpc::ServerWriteReactor<Message>* Feed(grpc::CallbackServerContext* context, const Request* request,
                                          std::size_t most, Handler handler) {
    auto outlet = std::make_shared<Outlet<Message>>(most);
    auto* reactor = new typename Outlet<Message>::Reactor(outlet);
    Start(
        context, Request::descriptor()->full_name(), [outlet](const absl::Status& status) { outlet->Open(status); },
        [=, handler = std::move(handler)](const Context& call) { return handler(call, *request, outlet); });
    return reactor;
  }

  // Waits for the calls in flight. After grpc::Server::Shutdown.
  void Drain();

 private:
  template <typename Message>
  struct StreamReactor;

  using Done = std::function<void(const absl::Status&)>;
  // `request` is the full name of the request's message; without "Request" it names the method in metrics and logs.
  void Start(grpc::CallbackServerContext* context, const std::string& request, Done done,
             std::function<absl::Status(const Context&)> work);
  static void Finish(grpc::ServerUnaryReactor* reactor, const absl::Status& status);

  std::chrono::milliseconds patience() const;

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The gRPC server of a service with health checking (grpc.health.v1). Not thread-safe but for SetServing.
class Server {
 public:
  Server(ServerOptions options, std::vector<grpc::Service*> services);
  ~Server();

  absl::Status Start();
  void SetServing(bool serving);
  // Stops input, gives calls in flight until `deadline`, then cancels them.
  void Shutdown(std::chrono::system_clock::time_point deadline);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// PEPEUNIT_GRPC_ADDRESS (default 127.0.0.1:`default_port`), PEPEUNIT_GRPC_THREADS (default `threads`),
// PEPEUNIT_GRPC_QUEUE and PEPEUNIT_INSTANCE_KEY.
ServerOptions ServerOptionsFrom(Config& config, std::uint16_t default_port, std::int64_t threads = 4);

grpc::Status ToGrpcStatus(const absl::Status& status);

template <typename Message>
struct Calls::StreamReactor : grpc::ServerWriteReactor<Message> {
  // Shared by the reactor (gRPC's threads) and the handler (an executor thread); `reactor` is null once it is done.
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    StreamReactor* reactor = nullptr;
    grpc::CallbackServerContext* context = nullptr;
    std::chrono::milliseconds patience{};
    Message message;
    bool writing = false, gone = false;

    bool Write(const Message& m) {
      std::unique_lock lock(mutex);
      if (!changed.wait_for(lock, patience, [&] { return !writing || gone; })) {
        gone = true;
        context->TryCancel();  // which ends the write that is under way
      }
      if (gone) return false;
      writing = true;
      message = m;
      reactor->StartWrite(&message);
      return true;
    }
    void Finish(const absl::Status& status) {
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return !writing || reactor == nullptr; });
      if (reactor != nullptr) reactor->grpc::template ServerWriteReactor<Message>::Finish(ToGrpcStatus(status));
    }
  };
  std::shared_ptr<State> state = std::make_shared<State>();

  StreamReactor(grpc::CallbackServerContext* context, std::chrono::milliseconds patience) {
    state->reactor = this;
    state->context = context;
    state->patience = patience;
  }
  void OnWriteDone(bool ok) override {
    std::lock_guard lock(state->mutex);
    state->writing = false;
    state->gone = state->gone || !ok;
    state->changed.notify_all();
  }
  void OnCancel() override {
    std::lock_guard lock(state->mutex);
    state->gone = true;
    state->changed.notify_all();
  }
  void OnDone() override {
    {
      std::lock_guard lock(state->mutex);
      state->gone = true;
      state->writing = false;
      state->reactor = nullptr;
      state->changed.notify_all();
    }
    delete this;
  }
};

}  // namespace pepeunit::rpc
