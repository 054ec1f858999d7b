#include "device_socket.h"

#include <utility>

#include "answer.h"
#include "pepeunit/http/problem.h"

namespace pepeunit::unit_ingest {

class DeviceSocket::SocketCall final : public Call {
 public:
  SocketCall(std::shared_ptr<DeviceSocket> socket, std::string message)
      : socket_(std::move(socket)), message_(std::move(message)), trace_(TraceContext::New()) {}
  ByteView sealed() const override { return AsBytes(message_); }
  const TraceContext& trace() const override { return trace_; }
  void Answer(const std::shared_ptr<const Profile>& profile, const envelope::Opened& request, const Reply& reply,
              ReplyText text) override {
    socket_->Answer(profile, request, reply, text);
  }
  void Refuse(const absl::Status& status, int http_status) override {
    socket_->RefuseMessage(status, http_status, trace_);
  }

 private:
  const std::shared_ptr<DeviceSocket> socket_;
  const std::string message_;
  const TraceContext trace_;
};

DeviceSocket::DeviceSocket(std::shared_ptr<http::WebSocket> socket, std::shared_ptr<UnitEntry> entry,
                           const TokenFacts& token, PushMetrics metrics)
    : socket_(std::move(socket)), entry_(std::move(entry)), token_(token), metrics_(metrics) {
  if (metrics_.sockets != nullptr) metrics_.sockets->Increment();
}

DeviceSocket::~DeviceSocket() {
  if (metrics_.sockets != nullptr) metrics_.sockets->Decrement();
}

std::shared_ptr<Call> DeviceSocket::MakeCall(std::string message) {
  return std::make_shared<SocketCall>(shared_from_this(), std::move(message));
}

void DeviceSocket::Answer(const std::shared_ptr<const Profile>& profile, const envelope::Opened& request,
                          const Reply& reply, ReplyText text) {
  std::string sealed;
  bool begins = false;
  {
    std::lock_guard lock(mutex_);
    begins = reply.good && !begun_;
    if (begins) changed_.clear();  // before the inputs are read for the answer: what changes after that is pushed
    begun_ = begun_ || begins;
    envelope::SealAnswer(profile->keys, profile->unit, request.header.sequence, request.tag, text(pushes_), &sealed,
                         reply.kind);
    if (begins) {
      begun_by_ = envelope::TagOf(AsBytes(sealed));
      profile_ = profile;
    }
    socket_->SendBinary(std::move(sealed), nullptr);
    PushLocked();
  }
  if (!begins) return;
  socket_->Welcome();
  entry_->AddSocket(shared_from_this());
  std::unique_lock lock(mutex_);
  const bool closed = closed_;
  lock.unlock();
  if (closed) return entry_->RemoveSocket(shared_from_this());
  // What happened to the unit before it was known there has passed this connection by.
  const auto now = entry_->profile();
  now == nullptr ? Suspend() : Resume(now);
}

void DeviceSocket::Closed() {
  {
    std::lock_guard lock(mutex_);
    closed_ = true;
    profile_ = nullptr;
  }
  entry_->RemoveSocket(shared_from_this());
}

void DeviceSocket::RefuseMessage(const absl::Status& status, int http_status, const TraceContext& trace) {
  socket_->SendText(http::Problem(status, "/v1/socket", trace, http_status).body);
}

void DeviceSocket::InputChanged(const Uuid& input) {
  std::lock_guard lock(mutex_);
  if (!begun_) return;
  changed_.insert(input);
  PushLocked();
}

void DeviceSocket::Suspend() {
  std::lock_guard lock(mutex_);
  profile_ = nullptr;
}

void DeviceSocket::Resume(const std::shared_ptr<const Profile>& profile) {
  if (profile->token_generation != token_.generation) return Refuse();
  std::lock_guard lock(mutex_);
  if (profile_ == profile) return;
  profile_ = profile;
  for (const Input& input : profile->inputs) changed_.insert(input.id);
  offer_news_ = true;
  PushLocked();
}

void DeviceSocket::Refuse() {
  Suspend();
  socket_->Close(1008, "the token was revoked");
}

void DeviceSocket::GiveWay() {
  Suspend();
  socket_->Close(1008, "the unit has opened other connections");
}

void DeviceSocket::PushLocked() {
  if (!begun_ || pushing_ || profile_ == nullptr || (changed_.empty() && !offer_news_)) return;
  const std::string text = TakeNewsLocked();
  if (text.empty()) return;
  std::string sealed;
  envelope::SealAnswer(profile_->keys, profile_->unit, ++pushes_, begun_by_, text, &sealed, envelope::Kind::kPush);
  pushing_ = true;
  if (metrics_.pushes != nullptr) metrics_.pushes->Increment();
  // Called with true from the server's loop only, never in here.
  socket_->SendBinary(std::move(sealed), [self = shared_from_this()](bool ok) {
    if (!ok) return;
    std::lock_guard lock(self->mutex_);
    self->pushing_ = false;
    self->PushLocked();
  });
}

std::string DeviceSocket::TakeNewsLocked() {
  PushFacts facts;
  facts.offer_update = std::exchange(offer_news_, false) && entry_->Offers(*profile_);
  for (std::size_t i = 0; i < profile_->inputs.size(); ++i) {
    const Input& input = profile_->inputs[i];
    if (changed_.count(input.id) != 0) facts.inputs.emplace_back(i, entry_->InputText(input));
  }
  std::size_t taken = 0;
  std::string text = PushText(*profile_, facts, &taken);
  if (taken == facts.inputs.size()) {
    changed_.clear();
  } else {
    for (std::size_t i = 0; i < taken; ++i) changed_.erase(profile_->inputs[facts.inputs[i].first].id);
  }
  return text;
}

}  // namespace pepeunit::unit_ingest
