#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "pepeunit/base/config.h"
#include "pepeunit/rpc/caller.h"
#include "pepeunit/rpc/status.h"

namespace pepeunit::rpc {

// A connection to another service. Reconnects by itself with backoff; calls fail with UNAVAILABLE meanwhile.
// Thread-safe.
class Channel {
 public:
  // `target` is a gRPC name: `dns:///graph-registry:7002`, `127.0.0.1:7002`, `unix:/run/pepeunit/graph.sock`.
  Channel(std::string target, std::string instance_key);

  const std::shared_ptr<grpc::Channel>& grpc() const { return channel_; }
  // Metadata (instance key, caller, traceparent) and deadline for one call.
  void Prepare(grpc::ClientContext& context, const Caller& caller, std::chrono::milliseconds timeout) const;
  // The other side answered lately, or answers a connection attempt within `timeout`.
  bool Ready(std::chrono::milliseconds timeout) const;
  // Whether the other side says within half a second that it serves (its gRPC health), as a readiness check: a process
  // that hangs keeps its connections, but does not answer.
  absl::Status Check() const;
  const std::string& target() const { return target_; }

 private:
  std::string target_, instance_key_;
  std::shared_ptr<grpc::Channel> channel_;
};

// The target from variable `name` (default 127.0.0.1:`default_port`).
std::string TargetFrom(Config& config, const std::string& name, std::uint16_t default_port, const std::string& service);
// PEPEUNIT_INSTANCE_KEY, at least 32 characters.
std::string InstanceKeyFrom(Config& config);

// One unary call:
//   PEPEUNIT_ASSIGN_OR_RETURN(auto profile, rpc::Call<UnitProfile>(channel, Caller::Service(), 2s,
//       [&](auto* c, auto* r) { return stub->GetUnitProfile(c, request, r); }));
// Waits; call it from an executor's thread. `method` is `grpc::Status(grpc::ClientContext*, Response*)`.
template <typename Response, typename Method>
absl::StatusOr<Response> Call(const Channel& channel, const Caller& caller, std::chrono::milliseconds timeout,
                              Method&& method) {
  grpc::ClientContext context;
  channel.Prepare(context, caller, timeout);
  Response response;
  grpc::Status status = std::forward<Method>(method)(&context, &response);
  if (!status.ok()) return FromGrpc(status);
  return response;
}

}  // namespace pepeunit::rpc
