#include "channel.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "pepeunit/base/absl_compat.h"
#include "plan.h"

namespace pepeunit::unit_client {
namespace {

constexpr std::chrono::seconds kPatience{10};  // for an answer

}  // namespace

std::string Channel::Seal(std::uint64_t sequence, std::string_view plaintext, envelope::Kind kind) const {
  std::string sealed;
  envelope::SealRequest(identity_.keys, identity_.unit, sequence, plaintext, &sealed, kind);
  return sealed;
}

Channel::Answer Channel::Ask(std::string_view path, std::uint64_t sequence, const std::string& sealed,
                             std::size_t most) {
  return Open(sequence, sealed,
              transport_->Post(absl::StrCat(identity_.url, ToAbsl(path)), identity_.token, sealed, most));
}

Channel::Answer Channel::Open(std::uint64_t sequence, const std::string& sealed, HttpAnswer http) const {
  Answer answer;
  answer.http = std::move(http);
  const std::string body = std::move(answer.http.body);
  const auto header = envelope::Peek(AsBytes(body));
  if (!answer.http.error.empty() || !header.ok()) return answer;
  if (header->unit != identity_.unit || header->sequence != sequence) return answer;
  auto opened = envelope::OpenAnswer(identity_.keys, envelope::TagOf(AsBytes(sealed)), AsBytes(body), header->kind);
  if (!opened.ok()) return answer;
  answer.text = std::move(opened->plaintext);
  answer.kind = header->kind;
  return answer;
}

bool Channel::OpenSocket(std::string* why) {
  if (socket_) return true;
  auto answer = transport_->Open(identity_.url + "/v1/socket", identity_.token);
  *why = std::move(answer.error);
  socket_ = std::move(answer.socket);
  begun_by_.reset();
  pushes_ = 0;
  end_.clear();
  return socket_ != nullptr;
}

Channel::Answer Channel::Exchange(std::uint64_t sequence, const std::string& sealed) {
  HttpAnswer http;
  http.sent = true;
  socket_->Send(sealed);
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (true) {
    const auto rest = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    auto message = socket_->Receive(std::max(rest, std::chrono::milliseconds(1)));
    if (!message) {
      if (end_.empty()) end_ = socket_->over().empty() ? "no answer came" : socket_->over();
      http.error = end_;
      return Answer{std::move(http), std::nullopt, envelope::Kind::kAnswer};
    }
    if (message->text) {  // a refusal, which is not sealed
      const auto problem = nlohmann::json::parse(message->data, nullptr, false);
      http.status = problem.is_object() ? static_cast<int>(WholeOf(problem, "status").value_or(503)) : 503;
      return Answer{std::move(http), std::nullopt, envelope::Kind::kAnswer};
    }
    if (IsPush(*message)) continue;
    http.status = 200;
    answer_tag_ = envelope::TagOf(AsBytes(message->data));
    http.body = std::move(message->data);
    return Open(sequence, sealed, std::move(http));
  }
}

bool Channel::IsPush(const Socket::Message& message) {
  const auto header = envelope::Peek(AsBytes(message.data));
  if (message.text || !header.ok() || header->kind != envelope::Kind::kPush) return false;
  const bool next = begun_by_ && header->unit == identity_.unit && header->sequence == pushes_ + 1;
  auto opened = next ? envelope::OpenAnswer(identity_.keys, *begun_by_, AsBytes(message.data), envelope::Kind::kPush)
                     : absl::InvalidArgumentError("not the next");
  if (!opened.ok()) {
    end_ = "a push is not the next";
    return true;
  }
  ++pushes_;
  pushed_.push_back(std::move(opened->plaintext));
  return true;
}

bool Channel::Settle(std::int64_t pushes) {
  if (!begun_by_) begun_by_ = answer_tag_;
  return pushes >= 0 && static_cast<std::uint64_t>(pushes) == pushes_;
}

std::optional<std::string> Channel::TakePush() {
  while (socket_ && end_.empty() && pushed_.empty()) {
    const auto message = socket_->Receive(std::chrono::milliseconds(0));
    if (!message) {
      end_ = socket_->over();
      break;
    }
    if (!IsPush(*message)) end_ = "a message that nobody asked for";
  }
  if (pushed_.empty()) return std::nullopt;
  std::string next = std::move(pushed_.front());
  pushed_.pop_front();
  return next;
}

std::string Channel::TakeEnd() {
  if (!end_.empty()) socket_.reset();
  return std::exchange(end_, "");
}

}  // namespace pepeunit::unit_client
