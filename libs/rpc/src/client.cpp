#include "pepeunit/rpc/client.h"

#include <grpcpp/generic/generic_stub.h>

#include <cstring>

#include "metadata.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/base/trace.h"

namespace pepeunit::rpc {

std::string TargetFrom(Config& config, const std::string& name, std::uint16_t default_port,
                       const std::string& service) {
  return config.String(name, "127.0.0.1:" + std::to_string(default_port),
                       "gRPC address of " + service + ": host:port, dns:///name:port or unix:/path");
}

std::string InstanceKeyFrom(Config& config) {
  return config.Secret("PEPEUNIT_INSTANCE_KEY", "shared by the services of one instance, who prove themselves with it");
}

Channel::Channel(std::string target, std::string instance_key)
    : target_(std::move(target)), instance_key_(std::move(instance_key)) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 3'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5'000);
  arguments.SetMaxReceiveMessageSize(16 << 20);
  // The credentials are those of the instance key and of the socket's permissions: see README.md.
  channel_ = grpc::CreateCustomChannel(target_, grpc::InsecureChannelCredentials(), arguments);
}

void Channel::Prepare(grpc::ClientContext& context, const Caller& caller, std::chrono::milliseconds timeout) const {
  context.set_deadline(std::chrono::system_clock::now() + timeout);
  context.AddMetadata(kInstanceKey, instance_key_);
  context.AddMetadata(kCaller, FormatCaller(caller));
  if (!caller.if_match.empty()) context.AddMetadata(kIfMatch, caller.if_match);
  if (!caller.idempotency_key.empty()) context.AddMetadata(kIdempotencyKey, caller.idempotency_key);
  if (!caller.client_address.empty()) context.AddMetadata(kClientAddress, caller.client_address);
  if (const TraceContext& trace = CurrentTrace(); trace.valid()) {
    context.AddMetadata(kTraceparent, trace.Child().ToTraceparent());
  }
}

bool Channel::Ready(std::chrono::milliseconds timeout) const {
  return channel_->WaitForConnected(std::chrono::system_clock::now() + timeout);
}

// grpc.health.v1.Health/Check for the whole server (https://github.com/grpc/grpc/blob/master/doc/health-checking.md):
// the empty request is no bytes, and the answer one enum in field 1.
absl::Status Channel::Check() const {
  constexpr char kServing[] = "\x08\x01";
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(500));
  context.set_wait_for_ready(true);  // also while it connects
  grpc::CompletionQueue queue;
  grpc::GenericStub stub(channel_);
  const grpc::Slice nothing;
  const grpc::ByteBuffer request(&nothing, 1);
  const auto call = stub.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check", request, &queue);
  call->StartCall();
  grpc::ByteBuffer answer;
  grpc::Status status;
  call->Finish(&answer, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  queue.Shutdown();
  if (!status.ok()) return Unavailable("does not answer on " + target_);
  grpc::Slice bytes;
  if (!answer.TrySingleSlice(&bytes).ok() || bytes.size() != 2 || std::memcmp(bytes.begin(), kServing, 2) != 0)
    return Unavailable("is not ready itself: " + target_);
  return absl::OkStatus();
}

}  // namespace pepeunit::rpc
