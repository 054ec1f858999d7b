#include "pepeunit/rpc/server.h"

#include <grpcpp/ext/health_check_service_server_builder_option.h>
#include <grpcpp/health_check_service_interface.h>
#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "metadata.h"
#include "pepeunit/base/address.h"
#include "pepeunit/base/bytes.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/base/log.h"
#include "pepeunit/base/trace.h"
#include "pepeunit/rpc/client.h"
#include "pepeunit/rpc/status.h"

namespace pepeunit::rpc {
namespace {

std::string Metadata(const grpc::CallbackServerContext& context, const char* name) {
  const auto found = context.client_metadata().find(name);
  return found == context.client_metadata().end() ? std::string()
                                                  : std::string(found->second.data(), found->second.size());
}

std::size_t ShareOf(const ServerOptions& options) {
  return options.share > 0 ? options.share : std::max<std::size_t>(1, options.queue / 4);
}

// For whom a call counts; empty for the services themselves.
std::string PartyOf(const Caller& caller) {
  if (caller.kind == Caller::Kind::kService) return "";
  return caller.signed_in() ? caller.user_id.ToString() : AddressGroup(caller.client_address);
}

std::string CodeName(absl::StatusCode code) { return absl::StatusCodeToString(code); }

}  // namespace

grpc::Status ToGrpcStatus(const absl::Status& status) { return ToGrpc(status); }

ServerOptions ServerOptionsFrom(Config& config, std::uint16_t default_port, std::int64_t threads) {
  ServerOptions options;
  options.address = config.String("PEPEUNIT_GRPC_ADDRESS", "127.0.0.1:" + std::to_string(default_port),
                                  "where this service answers gRPC: host:port or unix:/path");
  options.threads = static_cast<std::size_t>(
      config.Integer("PEPEUNIT_GRPC_THREADS", threads, 1, 256, "threads that run calls, which may wait for SQL"));
  options.queue = static_cast<std::size_t>(config.Integer(
      "PEPEUNIT_GRPC_QUEUE", 256, 1, 65536, "calls that may wait for a thread; one more is RESOURCE_EXHAUSTED"));
  options.instance_key = InstanceKeyFrom(config);
  return options;
}

struct Calls::Impl {
  explicit Impl(const ServerOptions& o, prometheus::Registry* metrics)
      : options(o), executor(o.threads, o.queue, ShareOf(o)) {
    if (metrics == nullptr) return;
    calls = &prometheus::BuildCounter()
                 .Name("pepeunit_rpc_calls_total")
                 .Help("gRPC calls by method and status")
                 .Register(*metrics);
    seconds = &prometheus::BuildHistogram()
                   .Name("pepeunit_rpc_seconds")
                   .Help("Time of gRPC calls from arrival to status")
                   .Register(*metrics);
  }

  absl::StatusOr<Context> Admit(grpc::CallbackServerContext* context) const {
    if (!ConstantTimeEqual(AsBytes(Metadata(*context, kInstanceKey)), AsBytes(options.instance_key))) {
      return Unauthenticated("Only the services of this instance may call.");
    }
    Context call;
    PEPEUNIT_ASSIGN_OR_RETURN(call.caller, ParseCaller(Metadata(*context, kCaller)));
    call.caller.if_match = Metadata(*context, kIfMatch);
    call.caller.idempotency_key = Metadata(*context, kIdempotencyKey);
    call.caller.client_address = Metadata(*context, kClientAddress);
    call.deadline = std::min(context->deadline(), std::chrono::system_clock::now() + options.longest_call);
    call.cancelled = [context] { return context->IsCancelled(); };
    return call;
  }

  void Count(const std::string& method, const absl::Status& status, std::chrono::steady_clock::time_point begin) {
    if (calls == nullptr) return;
    calls->Add({{"method", method}, {"status", CodeName(status.code())}}).Increment();
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
    seconds
        ->Add({{"method", method}}, prometheus::Histogram::BucketBoundaries{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                                                            0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30})
        .Observe(taken.count());
  }

  ServerOptions options;
  Executor executor;
  prometheus::Family<prometheus::Counter>* calls = nullptr;
  prometheus::Family<prometheus::Histogram>* seconds = nullptr;
};

Calls::Calls(const ServerOptions& options, prometheus::Registry* metrics)
    : impl_(std::make_unique<Impl>(options, metrics)) {}
Calls::~Calls() { Drain(); }

void Calls::Drain() { impl_->executor.Drain(); }

std::chrono::milliseconds Calls::patience() const { return impl_->options.patience; }

void Calls::Finish(grpc::ServerUnaryReactor* reactor, const absl::Status& status) { reactor->Finish(ToGrpc(status)); }

void Calls::Start(grpc::CallbackServerContext* context, const std::string& request, Done done,
                  std::function<absl::Status(const Context&)> work) {
  const auto begin = std::chrono::steady_clock::now();
  constexpr std::string_view kSuffix = "Request";
  const std::string method = request.ends_with(kSuffix) ? request.substr(0, request.size() - kSuffix.size()) : request;
  auto call = impl_->Admit(context);
  if (!call.ok()) {
    impl_->Count(method, call.status(), begin);
    done(call.status());
    return;
  }
  const auto trace = TraceContext::Parse(Metadata(*context, kTraceparent)).value_or(TraceContext::New());
  Executor::Task task;
  task.party = PartyOf(call->caller);
  const auto status = std::make_shared<absl::Status>();
  task.run = [this, begin, method, trace, status, call = *std::move(call), work = std::move(work)] {
    const TraceScope scope(trace);
    if (std::chrono::system_clock::now() >= call.deadline) {
      *status = Unavailable("The call waited too long for its turn; try again.");
    } else {
      *status = work(call);
    }
    log::Debug("call", {{"method", method}, {"status", CodeName(status->code())}});
    impl_->Count(method, *status, begin);
  };
  task.after = [done, status] { done(*status); };
  const Executor::Taken taken = impl_->executor.Run(std::move(task));
  if (taken == Executor::Taken::kYes) return;
  const absl::Status refused = taken == Executor::Taken::kShare
                                   ? Limit("Too many of your calls are waiting or running; try again shortly.", 500)
                                   : Limit("Too many calls are waiting; try again shortly.", 500);
  impl_->Count(method, refused, begin);
  done(refused);
}

struct Server::Impl {
  ServerOptions options;
  std::vector<grpc::Service*> services;
  std::unique_ptr<grpc::Server> server;
};

Server::Server(ServerOptions options, std::vector<grpc::Service*> services)
    : impl_(std::make_unique<Impl>(Impl{std::move(options), std::move(services), nullptr})) {}

Server::~Server() {
  if (impl_->server) Shutdown(std::chrono::system_clock::now());
}

absl::Status Server::Start() {
  if (impl_->options.instance_key.size() < 32) {
    return absl::InvalidArgumentError("PEPEUNIT_INSTANCE_KEY must have at least 32 characters");
  }
  constexpr char kUnix[] = "unix:";
  const std::string& address = impl_->options.address;
  if (address.starts_with(kUnix)) {
    // A socket left by a process that was killed would make the bind fail.
    ::unlink(address.substr(sizeof kUnix - 1).c_str());
  }
  grpc::EnableDefaultHealthCheckService(true);
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &port);
  builder.SetMaxReceiveMessageSize(static_cast<int>(impl_->options.max_message_bytes));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  grpc::ResourceQuota quota;
  quota.SetMaxThreads(static_cast<int>(impl_->options.threads) + 16);
  builder.SetResourceQuota(quota);
  for (grpc::Service* service : impl_->services) builder.RegisterService(service);
  impl_->server = builder.BuildAndStart();
  if (!impl_->server) return absl::UnavailableError("cannot listen on " + address + " (PEPEUNIT_GRPC_ADDRESS)");
  if (address.starts_with(kUnix)) ::chmod(address.substr(sizeof kUnix - 1).c_str(), 0600);
  SetServing(false);
  log::Info("listening for gRPC", {{"address", address}});
  return absl::OkStatus();
}

void Server::SetServing(bool serving) {
  if (!impl_->server) return;
  if (auto* health = impl_->server->GetHealthCheckService()) health->SetServingStatus(serving);
}

void Server::Shutdown(std::chrono::system_clock::time_point deadline) {
  if (!impl_->server) return;
  SetServing(false);
  impl_->server->Shutdown(deadline);
  impl_->server->Wait();
  impl_->server.reset();
}

}  // namespace pepeunit::rpc
