#include "event_response.h"

#include <utility>

#include "message_json.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/base/log.h"
#include "pepeunit/http/problem.h"
#include "stream_response.h"

namespace pepeunit::gateway {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// How long a browser waits before it comes back, in ms.
constexpr char kRetry[] = "retry: 1000\n";

const FieldDescriptor* CaseOf(const Message& message) {
  const auto* type = message.GetDescriptor();
  if (type->real_oneof_decl_count() != 1) return nullptr;
  return message.GetReflection()->GetOneofFieldDescriptor(message, type->oneof_decl(0));
}

std::string Line(const std::string& name, std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  for (std::size_t at = 0; (at = text.find('\n', at)) != std::string::npos;) {
    text.insert(++at, name + ": ");
  }
  return name + ": " + text + '\n';
}

class EventResponse final : public StreamResponse {
 public:
  explicit EventResponse(std::shared_ptr<Reply> reply) : StreamResponse(std::move(reply)) {}

 private:
  http::Response Head(const Message&) override {
    http::Response head;
    head.content_type = "text/event-stream";
    // A proxy in front must pass each event on at once.
    head.headers = {{"Cache-Control", "no-store"}, {"X-Accel-Buffering", "no"}};
    return head;
  }

  absl::StatusOr<std::string> PieceOf(Message& message) override {
    PEPEUNIT_ASSIGN_OR_RETURN(std::string event, EventOf(message));
    return std::exchange(first_, false) ? kRetry + std::move(event) : event;
  }

  void End(const absl::Status& status) override {
    http::Exchange& exchange = reply().exchange();
    if (status.ok() || is_head()) return exchange.End(true);
    const auto problem = http::Problem(status, exchange.path(), exchange.trace());
    log::Debug("a stream of events ends", {{"status", status}});
    exchange.Write(Line("event", "error") + Line("data", problem.body) + '\n',
                   [self = shared_from_this()](bool ok) { static_cast<EventResponse&>(*self).Close(ok); });
  }

  void Close(bool ok) {
    if (ok) reply().exchange().End(true);
  }

  absl::Status Nothing() const override { return Unavailable("The stream has no events."); }
  bool waits() const override { return true; }

  bool first_ = true;
};

}  // namespace

absl::StatusOr<std::string> EventOf(const Message& message) {
  const FieldDescriptor* field = CaseOf(message);
  const std::string id = StringField(message, "event_id");
  std::string event = id.empty() ? "" : Line("id", id);
  const bool beat = field != nullptr && field->name() == "heartbeat" && field->message_type() != nullptr &&
                    field->message_type()->field_count() == 0;
  // Without data nothing is dispatched, but the id is kept.
  if (beat) return ": heartbeat\n" + event + '\n';
  PEPEUNIT_ASSIGN_OR_RETURN(const std::string data, WriteResponse(message));
  return Line("event", field == nullptr ? "message" : field->name()) + event + Line("data", data) + '\n';
}

void SendEvents(Backends& backends, const BackendCall& call, const Message& request, std::shared_ptr<Reply> reply) {
  std::make_shared<EventResponse>(std::move(reply))->Begin(backends, call, request);
}

}  // namespace pepeunit::gateway
