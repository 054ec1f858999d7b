#include "consumers.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <utility>

#include "ack.h"
#include "pepeunit/base/log.h"

namespace pepeunit::bus {
namespace {

void TakeAll(MsgList* list, std::vector<MsgPtr>* out) {
  for (int i = 0; i < list->list.Count; ++i) out->emplace_back(std::exchange(list->list.Msgs[i], nullptr));
}

}  // namespace

Message ToMessage(natsMsg* raw) {
  Message message;
  message.subject = natsMsg_GetSubject(raw);
  message.payload.assign(natsMsg_GetData(raw), static_cast<std::size_t>(natsMsg_GetDataLength(raw)));
  return message;
}

// natsSubscription_Fetch returns at once what is there, and else as soon as the first message comes. FetchRequest does
// not: with an expiry it waits for the whole batch, also when told not to wait.
absl::StatusOr<std::vector<MsgPtr>> PullSubscription::Fetch(std::size_t max, std::chrono::milliseconds timeout) {
  const int batch = static_cast<int>(std::max<std::size_t>(max, 1));
  std::vector<MsgPtr> messages;
  MsgList list;
  jsErrCode code = static_cast<jsErrCode>(0);
  const natsStatus status = natsSubscription_Fetch(&list.list, subscription_.get(), batch,
                                                   std::max<std::int64_t>(timeout.count(), 10), &code);
  TakeAll(&list, &messages);
  if (!messages.empty() || status == NATS_OK || status == NATS_TIMEOUT || status == NATS_NOT_FOUND) return messages;
  return ToStatus(status, "fetching", code);
}

absl::Status PositionedReader::Open() {
  jsSubOptions options;
  jsSubOptions_Init(&options);
  options.Stream = stream_.c_str();
  options.Config.DeliverPolicy = js_DeliverByStartSequence;
  options.Config.OptStartSeq = next_;
  options.Config.AckPolicy = js_AckNone;
  options.Config.InactiveThreshold = 60 * kNsPerS;
  options.Config.MemoryStorage = true;
  natsSubscription* subscription = nullptr;
  jsErrCode code = static_cast<jsErrCode>(0);
  const natsStatus status = js_PullSubscribe(&subscription, js_, filter_.c_str(), nullptr, nullptr, &options, &code);
  if (status != NATS_OK) return ToStatus(status, "reading a stream", code);
  subscription_.Reset(subscription);
  delivered_ = 0;
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Message>> PositionedReader::Fetch(std::size_t max, std::chrono::milliseconds timeout) {
  if (!subscription_) PEPEUNIT_RETURN_IF_ERROR(Open());
  auto fetched = subscription_.Fetch(max, timeout);
  if (!fetched.ok()) {
    // The consumer may be gone with the server's memory: the next call makes a new one at our position.
    subscription_.Reset();
    return fetched.status();
  }
  std::vector<Message> messages;
  messages.reserve(fetched->size());
  for (const MsgPtr& raw : *fetched) {
    const char* reply = natsMsg_GetReply(raw.get());
    const auto position = ParseReply(reply == nullptr ? "" : reply);
    if (!position || position->consumer_sequence != delivered_ + 1 || position->stream_sequence < next_) {
      log::Warning("a gap in the stream; reading again from the last position",
                   {{"stream", stream_}, {"filter", filter_}, {"next", next_}});
      subscription_.Reset();
      break;
    }
    ++delivered_;
    next_ = position->stream_sequence + 1;
    messages.push_back(ToMessage(raw.get()));
    messages.back().stream_sequence = position->stream_sequence;
  }
  // A consumer that was lost with a restart of the server answers nothing at all: made anew, it costs one request.
  if (messages.empty()) {
    jsConsumerInfo* info = nullptr;
    if (subscription_ && natsSubscription_GetConsumerInfo(&info, subscription_.get(), nullptr, nullptr) != NATS_OK) {
      subscription_.Reset();
    }
    jsConsumerInfo_Destroy(info);
  }
  return messages;
}

absl::Status AckingConsumer::Open() {
  jsSubOptions options;
  jsSubOptions_Init(&options);
  options.Stream = stream_.c_str();
  options.Config.AckPolicy = js_AckExplicit;
  options.Config.AckWait = 30 * kNsPerS;
  options.Config.MaxAckPending = 10'000;
  natsSubscription* subscription = nullptr;
  jsErrCode code = static_cast<jsErrCode>(0);
  const natsStatus status =
      js_PullSubscribe(&subscription, js_, filter_.c_str(), durable_.c_str(), nullptr, &options, &code);
  if (status != NATS_OK) return ToStatus(status, "consuming a stream", code);
  subscription_.Reset(subscription);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Message>> AckingConsumer::Fetch(std::size_t max, std::chrono::milliseconds timeout) {
  fetched_.clear();
  if (!subscription_) PEPEUNIT_RETURN_IF_ERROR(Open());
  auto fetched = subscription_.Fetch(max, timeout);
  if (!fetched.ok()) {
    subscription_.Reset();
    return fetched.status();
  }
  fetched_ = *std::move(fetched);
  std::vector<Message> messages;
  messages.reserve(fetched_.size());
  for (const MsgPtr& raw : fetched_) {
    messages.push_back(ToMessage(raw.get()));
    const char* trace = nullptr;
    if (natsMsgHeader_Get(raw.get(), "traceparent", &trace) == NATS_OK && trace != nullptr)
      messages.back().traceparent = trace;
    const char* reply = natsMsg_GetReply(raw.get());
    if (const auto position = ParseReply(reply == nullptr ? "" : reply)) {
      messages.back().stream_sequence = position->stream_sequence;
    }
  }
  return messages;
}

absl::Status AckingConsumer::AckFetched() {
  for (const MsgPtr& raw : fetched_) {
    if (const natsStatus status = natsMsg_Ack(raw.get(), nullptr); status != NATS_OK) {
      return ToStatus(status, "acknowledging");
    }
  }
  fetched_.clear();
  return ToStatus(natsConnection_FlushTimeout(connection_, 2'000), "acknowledging");
}

void AckingConsumer::ReturnFetched() {
  for (const MsgPtr& raw : fetched_) natsMsg_Nak(raw.get(), nullptr);
  fetched_.clear();
  natsConnection_FlushTimeout(connection_, 2'000);
}

absl::StatusOr<std::uint64_t> AckingConsumer::AckedUpTo() {
  if (!subscription_) PEPEUNIT_RETURN_IF_ERROR(Open());
  jsConsumerInfo* raw = nullptr;
  jsErrCode code = static_cast<jsErrCode>(0);
  const natsStatus status = js_GetConsumerInfo(&raw, js_, stream_.c_str(), durable_.c_str(), nullptr, &code);
  const std::unique_ptr<jsConsumerInfo, decltype(&jsConsumerInfo_Destroy)> info(raw, &jsConsumerInfo_Destroy);
  if (status != NATS_OK) {
    subscription_.Reset();
    return ToStatus(status, "asking about a consumer", code);
  }
  if (info->NumPending == 0 && info->NumAckPending == 0) return std::numeric_limits<std::uint64_t>::max();
  return info->AckFloor.Stream;
}

}  // namespace pepeunit::bus
