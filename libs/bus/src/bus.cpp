#include "pepeunit/bus/bus.h"

#include <condition_variable>
#include <mutex>
#include <thread>

#include "absl/strings/str_split.h"
#include "consumers.h"
#include "nats_handles.h"
#include "pepeunit/base/backoff.h"
#include "pepeunit/base/clock.h"
#include "pepeunit/base/log.h"
#include "publisher.h"

namespace pepeunit::bus {
namespace {

jsOptions RequestOptions(std::int64_t wait_ms) {
  jsOptions options;
  jsOptions_Init(&options);
  options.Wait = wait_ms;
  return options;
}

class CoreSubscription final : public Subscription {
 public:
  explicit CoreSubscription(std::function<void(const Message&)> callback) : callback_(std::move(callback)) {}
  ~CoreSubscription() override {
    // Waits for the library's thread to leave the callback: what it refers to may go away next.
    if (!subscription_) return;
    natsSubscription_Unsubscribe(subscription_.get());
    subscription_.reset();
    std::unique_lock lock(mutex_);
    closed_.wait_for(lock, std::chrono::seconds(5), [this] { return done_; });
  }

  natsStatus Open(natsConnection* connection, const std::string& subject) {
    natsSubscription* raw = nullptr;
    const natsStatus status = natsConnection_Subscribe(&raw, connection, subject.c_str(), OnMessage, this);
    if (status != NATS_OK) return status;
    subscription_.reset(raw);
    natsSubscription_SetPendingLimits(raw, 65'536, 64 << 20);
    return natsSubscription_SetOnCompleteCB(raw, OnComplete, this);
  }

 private:
  static void OnMessage(natsConnection*, natsSubscription*, natsMsg* raw, void* self) {
    const MsgPtr message(raw);
    static_cast<CoreSubscription*>(self)->callback_(ToMessage(raw));
  }
  static void OnComplete(void* self) {
    auto* subscription = static_cast<CoreSubscription*>(self);
    std::lock_guard lock(subscription->mutex_);
    subscription->done_ = true;
    subscription->closed_.notify_all();
  }

  std::function<void(const Message&)> callback_;
  SubscriptionPtr subscription_;
  std::mutex mutex_;
  std::condition_variable closed_;
  bool done_ = false;
};

}  // namespace

struct Bus::Impl {
  explicit Impl(BusOptions o) : options(std::move(o)) {
    connection.reset(Connect(false));
    if (!connection) return;
    if (options.prompt) prompt.reset(Connect(true));
    jsCtx* context = nullptr;
    jsOptions js_options = RequestOptions(3'000);
    natsConnection_JetStream(&context, connection.get(), &js_options);
    js.reset(context);
    publisher = std::make_unique<Publisher>(connection.get(), prompt.get());
    if (const absl::Status started = publisher->Start(); !started.ok()) log::Error("the bus", {{"status", started}});
  }

  // Null when the address is malformed: everything else is tried again for ever.
  natsConnection* Connect(bool at_once) {
    natsOptions* raw = nullptr;
    natsOptions_Create(&raw);
    const std::unique_ptr<natsOptions, NatsDeleter> nats(raw);
    const std::vector<std::string> urls = absl::StrSplit(options.url, ',', absl::SkipWhitespace());
    std::vector<const char*> servers;
    for (const auto& url : urls) servers.push_back(url.c_str());
    natsOptions_SetServers(raw, servers.data(), static_cast<int>(servers.size()));
    if (!options.token.empty()) natsOptions_SetToken(raw, options.token.c_str());
    natsOptions_SetName(raw, options.name.c_str());
    natsOptions_SetMaxReconnect(raw, -1);
    natsOptions_SetReconnectWait(raw, 250);
    natsOptions_SetReconnectJitter(raw, 250, 250);
    natsOptions_SetTimeout(raw, 2'000);
    natsOptions_SetPingInterval(raw, 10'000);
    natsOptions_SetMaxPingsOut(raw, 2);
    natsOptions_SetWriteDeadline(raw, 5'000);
    natsOptions_SetSendAsap(raw, at_once);
    natsOptions_SetRetryOnFailedConnect(raw, true, at_once ? nullptr : OnConnected, this);
    if (!at_once) natsOptions_SetReconnectedCB(raw, OnConnected, this);
    natsOptions_SetDisconnectedCB(raw, at_once ? OnPromptLost : OnDisconnected, this);
    natsOptions_SetErrorHandler(raw, OnError, this);
    natsOptions_SetClosedCB(raw, OnClosed, this);
    if (options.shared_threads) natsOptions_UseGlobalMessageDelivery(raw, true);
    natsConnection* made = nullptr;
    const natsStatus status = natsConnection_Connect(&made, raw);
    if (status == NATS_OK || status == NATS_NOT_YET_CONNECTED) {
      ++open;
      return made;
    }
    natsConnection_Destroy(made);
    log::Error("the bus cannot be used", {{"cause", natsStatus_GetText(status)}});
    return nullptr;
  }

  ~Impl() {
    if (publisher) publisher->Stop();
    js.reset();
    if (prompt) natsConnection_Close(prompt.get());
    if (connection) natsConnection_Close(connection.get());
    // The library tells of the end on a thread of its own, last of all: until then its callbacks may refer to us.
    std::unique_lock lock(mutex);
    closed_changed.wait_for(lock, std::chrono::seconds(10), [this] { return open == 0; });
  }

  bool usable() const { return connection && publisher; }

  static void OnConnected(natsConnection*, void*) { log::Info("connected to the bus"); }
  static void OnDisconnected(natsConnection*, void* self) {
    log::Warning("the bus went away");
    auto* impl = static_cast<Impl*>(self);
    if (impl->publisher) impl->publisher->FailAll();
    impl->TellGap();
  }
  // What it had sent and was not confirmed may be lost.
  static void OnPromptLost(natsConnection*, void* self) {
    auto* impl = static_cast<Impl*>(self);
    if (impl->publisher) impl->publisher->FailAll();
  }
  static void OnClosed(natsConnection*, void* self) {
    auto* impl = static_cast<Impl*>(self);
    std::lock_guard lock(impl->mutex);
    --impl->open;
    impl->closed_changed.notify_all();
  }
  static void OnError(natsConnection*, natsSubscription*, natsStatus error, void* self) {
    log::Warning("the bus", {{"cause", natsStatus_GetText(error)}});
    if (error == NATS_SLOW_CONSUMER) static_cast<Impl*>(self)->TellGap();
  }
  void TellGap() {
    std::vector<std::function<void()>> listeners;
    {
      std::lock_guard lock(mutex);
      listeners = gap_listeners;
    }
    for (const auto& listener : listeners) listener();
  }

  BusOptions options;
  std::mutex mutex;
  std::condition_variable closed_changed;
  int open = 0;  // connections
  std::vector<std::function<void()>> gap_listeners;
  ConnectionPtr connection, prompt;
  JsPtr js;
  std::unique_ptr<Publisher> publisher;
};

Bus::Bus(BusOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Bus::~Bus() = default;

bool Bus::connected() const {
  return impl_->usable() && natsConnection_Status(impl_->connection.get()) == NATS_CONN_STATUS_CONNECTED;
}

absl::Status Bus::Ping() {
  if (!connected()) return Unavailable("not connected to the bus");
  jsOptions options = RequestOptions(1'000);
  jsAccountInfo* info = nullptr;
  jsErrCode code = static_cast<jsErrCode>(0);
  const natsStatus status = js_GetAccountInfo(&info, impl_->js.get(), &options, &code);
  jsAccountInfo_Destroy(info);
  return ToStatus(status, "JetStream does not answer", code);
}

void Bus::OnGap(std::function<void()> listener) {
  std::lock_guard lock(impl_->mutex);
  impl_->gap_listeners.push_back(std::move(listener));
}

absl::Status Bus::EnsureStream(const StreamOptions& options, std::chrono::milliseconds give_up) {
  jsStreamConfig config;
  jsStreamConfig_Init(&config);
  std::vector<const char*> subjects;
  for (const auto& subject : options.subjects) subjects.push_back(subject.c_str());
  config.Name = options.name.c_str();
  config.Subjects = subjects.data();
  config.SubjectsLen = static_cast<int>(subjects.size());
  config.Retention = js_LimitsPolicy;
  config.Storage = js_FileStorage;
  config.MaxBytes = options.max_bytes;
  config.MaxAge = options.max_age.count() * kNsPerS;
  config.Discard = js_DiscardNew;
  config.Duplicates = options.duplicate_window.count() * kNsPerS;
  config.Replicas = options.replicas;
  Backoff backoff(std::chrono::milliseconds(100), std::chrono::milliseconds(2'000));
  const std::int64_t deadline = MonotonicMs() + give_up.count();
  for (;;) {
    absl::Status result = Unavailable("not connected to the bus");
    if (connected()) {
      jsErrCode code = static_cast<jsErrCode>(0);
      natsStatus status = js_AddStream(nullptr, impl_->js.get(), &config, nullptr, &code);
      if (status != NATS_OK && code == JSStreamNameExistErr) {
        status = js_UpdateStream(nullptr, impl_->js.get(), &config, nullptr, &code);
      }
      result = ToStatus(status, "making a stream", code);
    }
    if (result.ok() || MonotonicMs() >= deadline) return result;
    std::this_thread::sleep_for(backoff.Next());
  }
}

absl::StatusOr<StreamState> Bus::GetStreamState(const std::string& stream) {
  if (!connected()) return Unavailable("not connected to the bus");
  jsStreamInfo* raw = nullptr;
  jsErrCode code = static_cast<jsErrCode>(0);
  const natsStatus status = js_GetStreamInfo(&raw, impl_->js.get(), stream.c_str(), nullptr, &code);
  const std::unique_ptr<jsStreamInfo, NatsDeleter> info(raw);
  if (status != NATS_OK) return ToStatus(status, "asking for a stream's state", code);
  return StreamState{info->State.Msgs, info->State.Bytes, info->State.FirstSeq, info->State.LastSeq, info->Created};
}

absl::StatusOr<std::optional<Message>> Bus::GetLastMessage(const std::string& stream, const std::string& subject) {
  if (!connected()) return Unavailable("not connected to the bus");
  natsMsg* raw = nullptr;
  jsErrCode code = static_cast<jsErrCode>(0);
  const natsStatus status = js_GetLastMsg(&raw, impl_->js.get(), stream.c_str(), subject.c_str(), nullptr, &code);
  const MsgPtr owned(raw);
  if (status == NATS_NOT_FOUND || code == JSNoMessageFoundErr) return std::optional<Message>();
  if (status != NATS_OK) return ToStatus(status, "asking for the last message", code);
  Message message = ToMessage(raw);
  message.stream_sequence = natsMsg_GetSequence(raw);
  return std::optional<Message>(std::move(message));
}

absl::Status Bus::PurgeUpTo(const std::string& stream, std::uint64_t sequence) {
  if (!connected()) return Unavailable("not connected to the bus");
  jsOptions options = RequestOptions(5'000);
  options.Stream.Purge.Sequence = sequence + 1;
  jsErrCode code = static_cast<jsErrCode>(0);
  const natsStatus status = js_PurgeStream(impl_->js.get(), stream.c_str(), &options, &code);
  return ToStatus(status, "purging a stream", code);
}

void Bus::Publish(const std::string& subject, std::string_view payload, const PublishOptions& options,
                  std::function<void(PublishResult)> done) {
  // While disconnected libnats would keep the message and send it later, when nobody waits for it any more.
  if (!connected()) {
    done({.status = Unavailable("The bus does not answer; try again shortly.")});
    return;
  }
  impl_->publisher->Publish(subject, payload, options, std::move(done));
}

std::size_t Bus::outstanding() const { return impl_->usable() ? impl_->publisher->outstanding() : 0; }

PublishResult Bus::PublishAndWait(const std::string& subject, std::string_view payload, const PublishOptions& options) {
  std::mutex mutex;
  std::condition_variable ready;
  std::optional<PublishResult> result;
  Publish(subject, payload, options, [&](PublishResult r) {
    std::lock_guard lock(mutex);
    result = std::move(r);
    ready.notify_all();
  });
  std::unique_lock lock(mutex);
  ready.wait(lock, [&] { return result.has_value(); });
  return *std::move(result);
}

absl::Status Bus::PublishCore(const std::string& subject, std::string_view payload, bool promptly) {
  if (!connected()) return Unavailable("not connected to the bus");
  const bool at_once = promptly && impl_->prompt != nullptr;
  return ToStatus(natsConnection_Publish((at_once ? impl_->prompt : impl_->connection).get(), subject.c_str(),
                                         payload.data(), static_cast<int>(payload.size())),
                  "publishing");
}

absl::Status Bus::Flush(std::chrono::milliseconds timeout) {
  if (!connected()) return Unavailable("not connected to the bus");
  return ToStatus(natsConnection_FlushTimeout(impl_->connection.get(), timeout.count()), "flushing");
}

std::unique_ptr<Subscription> Bus::Subscribe(const std::string& subject, std::function<void(const Message&)> callback) {
  auto subscription = std::make_unique<CoreSubscription>(std::move(callback));
  if (!impl_->usable()) return subscription;
  if (const natsStatus status = subscription->Open(impl_->connection.get(), subject); status != NATS_OK) {
    log::Error("cannot subscribe", {{"subject", subject}, {"cause", natsStatus_GetText(status)}});
  }
  return subscription;
}

std::unique_ptr<StreamReader> Bus::ReadStream(const std::string& stream, const std::string& filter,
                                              std::uint64_t from_sequence) {
  return std::make_unique<PositionedReader>(impl_->js.get(), stream, filter, from_sequence);
}

std::unique_ptr<DurableConsumer> Bus::Consume(const std::string& stream, const std::string& durable,
                                              const std::string& filter) {
  return std::make_unique<AckingConsumer>(impl_->connection.get(), impl_->js.get(), stream, durable, filter);
}

}  // namespace pepeunit::bus
