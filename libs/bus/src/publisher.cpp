#include "publisher.h"

#include <charconv>
#include <string_view>
#include <utility>

#include "ack.h"
#include "pepeunit/base/bytes.h"
#include "pepeunit/base/clock.h"

namespace pepeunit::bus {
namespace {

PublishResult Unknown() {
  return {.status = Unavailable("The bus did not confirm in time; whether the message is stored is not known.")};
}

}  // namespace

Publisher::Publisher(natsConnection* connection, natsConnection* prompt)
    : connection_(connection), prompt_(prompt), inbox_("_INBOX." + HexEncode(AsBytes(RandomBytes(11)))) {
  free_.reserve(kWindow);
  for (std::size_t i = kWindow; i > 0; --i) free_.push_back(static_cast<std::uint32_t>(i - 1));
}

Publisher::~Publisher() { Stop(); }

absl::Status Publisher::Start() {
  natsSubscription* subscription = nullptr;
  const natsStatus status =
      natsConnection_Subscribe(&subscription, connection_, (inbox_ + ".*.*").c_str(), OnAck, this);
  if (status != NATS_OK) return ToStatus(status, "cannot subscribe to acks");
  subscription_.reset(subscription);
  natsSubscription_SetPendingLimits(subscription, static_cast<int>(4 * kWindow), -1);
  sweeper_ = std::thread([this] { Sweep(); });
  return absl::OkStatus();
}

void Publisher::Stop() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  if (sweeper_.joinable()) sweeper_.join();
  subscription_.reset();
  FailAll();
  DestroyBuried();
}

void Publisher::Bury(natsMsg* message) {
  constexpr std::size_t kAtOnce = 128;
  std::vector<MsgPtr> many;
  std::lock_guard lock(buried_mutex_);
  buried_.emplace_back(message);
  if (buried_.size() >= kAtOnce) {
    many.reserve(kAtOnce);
    many.swap(buried_);
  }
}

void Publisher::DestroyBuried() {
  std::vector<MsgPtr> many;
  std::lock_guard lock(buried_mutex_);
  many.swap(buried_);
}

void Publisher::Publish(const std::string& subject, std::string_view payload, const PublishOptions& options,
                        std::function<void(PublishResult)> done) {
  std::uint32_t index = 0, generation = 0;
  bool full = false, quiet = false;
  {
    std::lock_guard lock(mutex_);
    full = free_.empty() || stop_;
    const std::int64_t now_ms = MonotonicMs();
    quiet = IsQuiet(now_ms);
    if (!full) {
      index = free_.back();
      free_.pop_back();
      ++outstanding_;
      Slot& slot = slots_[index];
      slot.done = std::move(done);
      slot.deadline_ms = now_ms + kTimeoutMs;
      generation = slot.generation;
    }
  }
  if (full) {
    done({.status = Limit("Too many messages wait for the bus.", 500)});
    return;
  }
  const std::string reply = inbox_ + '.' + std::to_string(index) + '.' + std::to_string(generation);
  const bool at_once =
      options.promptly && quiet && prompt_ != nullptr && natsConnection_Status(prompt_) == NATS_CONN_STATUS_CONNECTED;
  const natsStatus sent = Send(at_once ? prompt_ : connection_, subject, reply, payload, options);
  if (sent == NATS_OK) return;
  if (auto failed = Take(index, generation)) {
    failed({.status = Unavailable(std::string("The bus does not take messages: ") + natsStatus_GetText(sent))});
  }
}

bool Publisher::IsQuiet(std::int64_t now_ms) {
  if (now_ms - stretch_ms_ >= kStretchMs) {
    in_last_ = now_ms - stretch_ms_ < 2 * kStretchMs ? in_stretch_ : 0;
    stretch_ms_ = now_ms;
    in_stretch_ = 0;
  }
  return ++in_stretch_ <= kMostPrompt && in_last_ <= kMostPrompt;
}

natsStatus Publisher::Send(natsConnection* connection, const std::string& subject, const std::string& reply,
                           std::string_view payload, const PublishOptions& options) {
  const int size = static_cast<int>(payload.size());
  if (!options.expected_last_subject_sequence && options.message_id.empty() && options.traceparent.empty()) {
    return natsConnection_PublishRequest(connection, subject.c_str(), reply.c_str(), payload.data(), size);
  }
  natsMsg* raw = nullptr;
  natsStatus status = natsMsg_Create(&raw, subject.c_str(), reply.c_str(), payload.data(), size);
  if (status == NATS_OK && options.expected_last_subject_sequence) {
    status = natsMsgHeader_Set(raw, "Nats-Expected-Last-Subject-Sequence",
                               std::to_string(*options.expected_last_subject_sequence).c_str());
  }
  if (status == NATS_OK && !options.message_id.empty()) {
    status = natsMsgHeader_Set(raw, "Nats-Msg-Id", options.message_id.c_str());
  }
  if (status == NATS_OK && !options.traceparent.empty()) {
    status = natsMsgHeader_Set(raw, "traceparent", options.traceparent.c_str());
  }
  if (status == NATS_OK) status = natsConnection_PublishMsg(connection, raw);
  if (raw != nullptr) Bury(raw);
  return status;
}

void Publisher::OnAck(natsConnection*, natsSubscription*, natsMsg* raw, void* self) {
  auto* publisher = static_cast<Publisher*>(self);
  publisher->Acked(raw);
  publisher->Bury(raw);
}

void Publisher::Acked(natsMsg* raw) {
  // <inbox>.<slot>.<generation>
  std::string_view subject = natsMsg_GetSubject(raw);
  subject.remove_prefix(std::min(subject.size(), inbox_.size() + 1));
  const auto dot = subject.find('.');
  if (dot == std::string_view::npos) return;
  std::uint32_t slot = 0, generation = 0;
  std::from_chars(subject.data(), subject.data() + dot, slot);
  std::from_chars(subject.data() + dot + 1, subject.data() + subject.size(), generation);
  const auto done = Take(slot, generation);
  if (!done) return;
  if (natsMsg_IsNoResponders(raw)) {
    done({.status = Unavailable("No stream takes this message: JetStream is not there yet.")});
    return;
  }
  done(ParseAck({natsMsg_GetData(raw), static_cast<std::size_t>(natsMsg_GetDataLength(raw))}));
}

std::function<void(PublishResult)> Publisher::Take(std::uint32_t index, std::uint32_t generation) {
  std::lock_guard lock(mutex_);
  if (index >= slots_.size()) return nullptr;
  Slot& slot = slots_[index];
  if (!slot.done || slot.generation != generation) return nullptr;
  auto done = std::exchange(slot.done, nullptr);
  ++slot.generation;
  free_.push_back(index);
  --outstanding_;
  return done;
}

void Publisher::Expire(std::int64_t now_ms) {
  std::vector<std::function<void(PublishResult)>> late;
  {
    std::lock_guard lock(mutex_);
    if (free_.size() == slots_.size()) return;
    for (std::uint32_t i = 0; i < slots_.size(); ++i) {
      Slot& slot = slots_[i];
      if (!slot.done || slot.deadline_ms > now_ms) continue;
      late.push_back(std::exchange(slot.done, nullptr));
      ++slot.generation;
      free_.push_back(i);
      --outstanding_;
    }
  }
  for (const auto& done : late) done(Unknown());
}

void Publisher::FailAll() { Expire(INT64_MAX); }

void Publisher::Sweep() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    wake_.wait_for(lock, std::chrono::milliseconds(250));
    lock.unlock();
    Expire(MonotonicMs());
    DestroyBuried();
    lock.lock();
  }
}

}  // namespace pepeunit::bus
