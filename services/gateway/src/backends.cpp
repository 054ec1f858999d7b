#include "backends.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/proto_buffer_reader.h>

#include <utility>

#include "pepeunit/base/errors.h"
#include "pepeunit/rpc/status.h"

namespace pepeunit::gateway {
namespace {

using google::protobuf::Message;
using google::protobuf::MethodDescriptor;

std::string PathOf(const MethodDescriptor& method) { return '/' + method.service()->full_name() + '/' + method.name(); }

grpc::ByteBuffer Serialize(const Message& message) {
  const grpc::Slice slice(message.SerializeAsString());
  return {&slice, 1};
}

absl::StatusOr<MessagePtr> ParseAnswer(const MethodDescriptor& method, grpc::ByteBuffer& bytes) {
  MessagePtr message(google::protobuf::MessageFactory::generated_factory()->GetPrototype(method.output_type())->New());
  if (bytes.Valid()) {
    grpc::ProtoBufferReader reader(&bytes);
    if (!reader.status().ok() || !message->ParseFromZeroCopyStream(&reader)) {
      return Internal("the answer of " + method.full_name() + " is malformed");
    }
  }
  return message;
}

void PrepareCall(const rpc::Channel& channel, const BackendCall& call, grpc::ClientContext& context) {
  const TraceScope scope(call.trace);
  channel.Prepare(context, call.caller, call.timeout);
}

absl::Status Stopping() { return Unavailable("This gateway is stopping; try again."); }

struct UnaryState {
  std::shared_ptr<grpc::ClientContext> context = std::make_shared<grpc::ClientContext>();
  grpc::ByteBuffer request, response;
  std::unique_ptr<grpc::GenericStub> stub;
  std::unique_ptr<Backends::InFlight> in_flight;
  Backends::Done done;
};

// A hold keeps the call open between reads, which begin on other threads (grpcpp/support/client_callback.h).
class StreamCall : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>, public BackendStream {
 public:
  StreamCall(const rpc::Channel& channel, const BackendCall& call, const Message& request,
             Backends::OnMessage on_message, Backends::OnEnd on_end)
      : method_(*call.method),
        stub_(channel.grpc()),
        request_(Serialize(request)),
        on_message_(std::move(on_message)),
        on_end_(std::move(on_end)) {
    PrepareCall(channel, call, *context_);
  }

  const std::shared_ptr<grpc::ClientContext>& context() const { return context_; }

  void Start(std::shared_ptr<StreamCall> self, std::unique_ptr<Backends::InFlight> in_flight) {
    self_ = std::move(self);
    in_flight_ = std::move(in_flight);
    stub_.PrepareBidiStreamingCall(context_.get(), PathOf(method_), {}, this);
    AddHold();
    StartWriteLast(&request_, grpc::WriteOptions());
    StartRead(&piece_);
    StartCall();
  }

  void Next() override { StartRead(&piece_); }
  void Cancel() override {
    context_->TryCancel();
    StartRead(&piece_);  // fails, and with that lets go of the hold
  }
  void Abort() override { context_->TryCancel(); }

  void OnReadDone(bool ok) override {
    if (!ok) return RemoveHold();
    auto message = ParseAnswer(method_, piece_);
    piece_.Clear();
    if (message.ok()) return on_message_(self_, *std::move(message));
    broken_ = message.status();
    Cancel();
  }

  void OnDone(const grpc::Status& status) override {
    const auto self = std::move(self_);
    on_end_(broken_.ok() ? rpc::FromGrpc(status) : broken_);
    in_flight_.reset();
    on_message_ = nullptr;  // they may hold whoever holds this
    on_end_ = nullptr;
  }

 private:
  const MethodDescriptor& method_;
  grpc::GenericStub stub_;
  std::shared_ptr<grpc::ClientContext> context_ = std::make_shared<grpc::ClientContext>();
  grpc::ByteBuffer request_, piece_;
  Backends::OnMessage on_message_;
  Backends::OnEnd on_end_;
  std::unique_ptr<Backends::InFlight> in_flight_;
  absl::Status broken_;
  std::shared_ptr<StreamCall> self_;
};

}  // namespace

Backends::InFlight::InFlight(Backends& owner, std::shared_ptr<grpc::ClientContext> context)
    : owner_(owner), context_(std::move(context)) {}

Backends::InFlight::~InFlight() {
  std::lock_guard lock(owner_.mutex_);
  owner_.in_flight_.erase(context_);
  owner_.endless_.erase(context_);
  owner_.ended_.notify_all();
}

Backends::~Backends() { Drain(std::chrono::system_clock::now()); }

void Backends::Add(const std::string& package, const rpc::Channel& channel) { channels_[package] = &channel; }

const rpc::Channel* Backends::ChannelOf(const MethodDescriptor& method) const {
  const auto found = channels_.find(method.file()->package());
  return found == channels_.end() ? nullptr : found->second;
}

std::unique_ptr<Backends::InFlight> Backends::Admit(const std::shared_ptr<grpc::ClientContext>& context, bool endless) {
  std::lock_guard lock(mutex_);
  if (draining_ || (endless && ending_)) return nullptr;
  in_flight_.insert(context);
  if (endless) endless_.insert(context);
  return std::make_unique<InFlight>(*this, context);
}

void Backends::Unary(const BackendCall& call, const Message& request, Done done) {
  const rpc::Channel* channel = ChannelOf(*call.method);
  if (channel == nullptr) return done(Internal("no service answers for " + call.method->full_name()));
  auto state = std::make_shared<UnaryState>();
  PrepareCall(*channel, call, *state->context);
  state->request = Serialize(request);
  state->stub = std::make_unique<grpc::GenericStub>(channel->grpc());
  state->in_flight = Admit(state->context);
  if (!state->in_flight) return done(Stopping());
  state->done = std::move(done);
  state->stub->UnaryCall(state->context.get(), PathOf(*call.method), {}, &state->request, &state->response,
                         [state, method = call.method](const grpc::Status& status) {
                           if (status.ok())
                             state->done(ParseAnswer(*method, state->response));
                           else
                             state->done(rpc::FromGrpc(status));
                           state->in_flight.reset();
                         });
}

void Backends::Stream(const BackendCall& call, const Message& request, OnMessage on_message, OnEnd on_end) {
  const rpc::Channel* channel = ChannelOf(*call.method);
  if (channel == nullptr) return on_end(Internal("no service answers for " + call.method->full_name()));
  auto stream = std::make_shared<StreamCall>(*channel, call, request, std::move(on_message), on_end);
  auto in_flight = Admit(stream->context(), call.endless);
  if (!in_flight) return on_end(Stopping());
  stream->Start(stream, std::move(in_flight));
}

void Backends::EndStreams() {
  std::unique_lock lock(mutex_);
  ending_ = true;
  const auto contexts = endless_;
  lock.unlock();  // gRPC may finish a cancelled call on this thread
  for (const auto& context : contexts) context->TryCancel();
}

void Backends::Drain(std::chrono::system_clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  draining_ = true;
  if (ended_.wait_until(lock, deadline, [this] { return in_flight_.empty(); })) return;
  const auto contexts = in_flight_;
  lock.unlock();  // gRPC may finish a cancelled call on this thread
  for (const auto& context : contexts) context->TryCancel();
  lock.lock();
  ended_.wait_for(lock, std::chrono::seconds(5), [this] { return in_flight_.empty(); });
}

}  // namespace pepeunit::gateway
