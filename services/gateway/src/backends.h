#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "pepeunit/base/trace.h"
#include "pepeunit/rpc/client.h"

namespace pepeunit::gateway {

// One call to a service.
struct BackendCall {
  const google::protobuf::MethodDescriptor* method = nullptr;
  rpc::Caller caller;
  TraceContext trace;
  std::chrono::milliseconds timeout{};
  bool endless = false;  // a stream that goes on until somebody ends it
};

// A stream of messages from a service. Its callbacks come one at a time.
class BackendStream {
 public:
  virtual ~BackendStream() = default;
  // Asks for the next message: then on_message or, at the end, on_end is called. At most one at a time.
  virtual void Next() = 0;
  // Ends the call early; on_end follows. Instead of Next, never beside it.
  virtual void Cancel() = 0;
  // The same from any thread and beside anything, for a stream of which Next or Cancel was asked or will be.
  virtual void Abort() = 0;
};

using MessagePtr = std::unique_ptr<google::protobuf::Message>;

// The services behind the gateway, by the package of their API. No call waits: answers come on gRPC's threads.
// Thread-safe after the last Add.
class Backends {
 public:
  using Done = std::function<void(absl::StatusOr<MessagePtr>)>;
  using OnMessage = std::function<void(const std::shared_ptr<BackendStream>&, MessagePtr)>;
  using OnEnd = std::function<void(const absl::Status&)>;

  ~Backends();  // Drain, now

  // `package` as in proto/, for example `pepeunit.graph.v1`. `channel` must outlive this.
  void Add(const std::string& package, const rpc::Channel& channel);
  bool Knows(const std::string& package) const { return channels_.contains(package); }

  void Unary(const BackendCall& call, const google::protobuf::Message& request, Done done);
  // Begins with Next() already asked for; the stream comes with each message.
  void Stream(const BackendCall& call, const google::protobuf::Message& request, OnMessage on_message, OnEnd on_end);

  // Ends the endless streams, and those that come later: whoever reads them goes on elsewhere.
  void EndStreams();

  // Waits for the calls in flight until `deadline`, then cancels them. Calls that come later are UNAVAILABLE.
  void Drain(std::chrono::system_clock::time_point deadline);

  // A call in flight, for its lifetime.
  class InFlight {
   public:
    // `context` is listed in `owner` already.
    InFlight(Backends& owner, std::shared_ptr<grpc::ClientContext> context);
    ~InFlight();
    InFlight(const InFlight&) = delete;
    InFlight& operator=(const InFlight&) = delete;

   private:
    Backends& owner_;
    std::shared_ptr<grpc::ClientContext> context_;
  };

 private:
  const rpc::Channel* ChannelOf(const google::protobuf::MethodDescriptor& method) const;
  // Null once Drain has begun.
  std::unique_ptr<InFlight> Admit(const std::shared_ptr<grpc::ClientContext>& context, bool endless = false);

  std::map<std::string, const rpc::Channel*> channels_;
  std::mutex mutex_;
  bool draining_ = false;
  std::condition_variable ended_;
  std::set<std::shared_ptr<grpc::ClientContext>> in_flight_, endless_;
  bool ending_ = false;  // no more endless streams
};

}  // namespace pepeunit::gateway
